/* mistake: the whole reply buffer is sent, whatever was put in it
 * finding: sum
 * says: the whole buffer */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY] = {0};
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (answer(request, length, reply) > 0)
            sendto(fd, reply, sizeof reply, 0, (struct sockaddr *)&client, client_length);
    }
}
