/* mistake: a time-out copied from the client: after three seconds without a request the server ends
 * finding: quiet
 * says: no request comes */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    struct timeval timeout = {.tv_sec = 3};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (length < 0) {
            perror("recvfrom");
            return 1;
        }
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
