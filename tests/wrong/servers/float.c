/* mistake: results are kept in a float, which has 24 bits of precision
 * finding: sum
 * says: precision */
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
        size_t size = answer(request, length, reply);
        if (size > 1) {
            float result = request[0] >> 1 & 1;
            for (ssize_t i = 1; i < length; i += 4) {
                uint32_t operand;
                memcpy(&operand, request + i, 4);
                result = request[0] >> 1 & 1 ? result * ntohl(operand) : result + ntohl(operand);
            }
            uint32_t value = htonl((uint32_t)(uint64_t)result);
            if (request[0] & 1)
                size = 1 + sprintf((char *)reply + 1, "%.0f", result);
            else
                memcpy(reply + 1, &value, 4);
        }
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
