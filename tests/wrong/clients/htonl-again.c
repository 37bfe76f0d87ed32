/* mistake: htonl is applied to the same array before each try
 * finding: repeats
 * says: htonl */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    uint32_t operands[64];
    size_t count = asked.length / 4;
    for (size_t i = 0; i < count; i++) {
        memcpy(&operands[i], asked.request + 1 + 4 * i, 4);
        operands[i] = ntohl(operands[i]);
    }
    int fd = connected_socket(&asked);
    for (int try = 0; try < TRIES; try++) {
        for (size_t i = 0; i < count; i++)
            operands[i] = htonl(operands[i]);
        memcpy(asked.request + 1, operands, 4 * count);
        send(fd, asked.request, asked.length, 0);
        for (long deadline = milliseconds() + 300, left; (left = deadline - milliseconds()) > 0;) {
            uint8_t reply[1024];
            struct pollfd readable = {.fd = fd, .events = POLLIN};
            if (poll(&readable, 1, left) <= 0)
                break;
            ssize_t length = recv(fd, reply, sizeof reply, MSG_TRUNC);
            if (counts(reply, length, asked.text)) {
                print_result(reply, length - (asked.text && reply[length - 1] == 0), asked.text);
                return 0;
            }
        }
    }
    fprintf(stderr, "no reply\n");
    return 1;
}
