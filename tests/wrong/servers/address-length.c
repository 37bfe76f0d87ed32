/* mistake: room for an IPv4 address only, so that the kernel cuts the client's address
 * finding: other-peer
 * says: struct sockaddr_in6 */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client = {0};
        socklen_t client_length = sizeof(struct sockaddr);
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, sizeof client);
    }
}
