/* mistake: the header and the operands are read by two calls, as from a file: the rest of a datagram is gone
 * finding: answers
 * says: one recv */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        if (recvfrom(fd, request, 1, 0, (struct sockaddr *)&client, &client_length) < 1)
            continue;
        ssize_t length = recvfrom(fd, request + 1, sizeof request - 1, 0, (struct sockaddr *)&client, &client_length);
        size_t size = answer(request, 1 + length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
