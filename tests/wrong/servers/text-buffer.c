/* mistake: the request is received as a C string, and strlen says how long it is
 * finding: answers
 * says: strlen */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        char buffer[1024];
        uint8_t reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, buffer, sizeof buffer - 1, 0, (struct sockaddr *)&client, &client_length);
        if (length < 0)
            continue;
        buffer[length] = '\0';
        size_t size = answer((uint8_t *)buffer, strlen(buffer), reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
