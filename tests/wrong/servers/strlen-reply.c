/* mistake: strlen says how much to send: an integer ends at its first octet of zeros
 * finding: sum
 * says: strlen */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        uint8_t request[1024];
        char reply[MAX_REPLY + 1] = "";
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (answer(request, length, (uint8_t *)reply) > 0)
            sendto(fd, reply, strlen(reply), 0, (struct sockaddr *)&client, client_length);
    }
}
