/* unusual: a process for each request, which the kernel reaps */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (fork() == 0) {
            size_t size = answer(request, length, reply);
            if (size > 0)
                sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
            _exit(0);
        }
    }
}
