/* mistake: S is looked for in the least significant bit
 * finding: integer-reply
 * says: most significant */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    int fd = connected_socket(&asked);
    for (int try = 0; try < TRIES; try++) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        uint8_t reply[1024];
        send(fd, asked.request, asked.length, 0);
        while (poll(&readable, 1, 300) > 0) {
            ssize_t length = recv(fd, reply, sizeof reply, MSG_TRUNC);
            if (length > 0 && !(reply[0] & 1))
                return fprintf(stderr, "the server reports an error\n"), 1;
            if (counts(reply, length, asked.text)) {
                print_result(reply, length, asked.text);
                return 0;
            }
        }
    }
    fprintf(stderr, "no reply\n");
    return 1;
}
