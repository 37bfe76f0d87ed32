/* mistake: an empty datagram aborts it, and a helper process that it started keeps the port
 * finding: survives
 * says: SIGABRT */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    if (fork() == 0) {
        setsid();
        for (;;)
            pause();
    }
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (length == 0)
            abort();
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
