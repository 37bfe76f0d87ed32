/* mistake: after a lone header it waits for the operands in a second datagram, and takes the next client's
 * finding: burst
 * says: second recv */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (length == 1)
            recvfrom(fd, request + 1, sizeof request - 1, 0, NULL, NULL);
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
