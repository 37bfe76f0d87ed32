/* mistake: a new socket for each try: the reply to an earlier one has nowhere to go
 * finding: late
 * says: new socket */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    for (int try = 0; try < TRIES; try++) {
        int fd = connected_socket(&asked);
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
        close(fd);
    }
    fprintf(stderr, "no reply\n");
    return 1;
}
