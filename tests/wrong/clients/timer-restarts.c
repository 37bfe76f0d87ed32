/* mistake: the whole time-out starts again after each ignored datagram
 * finding: timer
 * says: deadline */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    int fd = connected_socket(&asked);
    struct timeval timeout = {.tv_usec = 400000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    for (int try = 0; try < TRIES; try++) {
        uint8_t reply[1024];
        ssize_t length;
        send(fd, asked.request, asked.length, 0);
        while ((length = recv(fd, reply, sizeof reply, MSG_TRUNC)) >= 0)
            if (counts(reply, length, asked.text)) {
                print_result(reply, length - (asked.text && reply[length - 1] == 0), asked.text);
                return 0;
            }
    }
    fprintf(stderr, "no reply\n");
    return 1;
}
