/* mistake: connect() ties the server's only socket to the first client
 * finding: others
 * says: connect() */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv), connected = 0;
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (!connected)
            connected = connect(fd, (struct sockaddr *)&client, client_length) == 0;
        size_t size = answer(request, length, reply);
        if (size > 0)
            send(fd, reply, size, 0);
    }
}
