/* mistake: the length is kept in an octet: 257 becomes 1
 * finding: 64-operands
 * says: 255 */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        uint8_t request[MAX_REQUEST + 1], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t received = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (!is_request(request, received))
            continue;
        uint8_t length = received;
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
