/* mistake: a struct is laid over the datagram, and the compiler's padding over the first operand
 * finding: sum
 * says: padding */
#include "calculator.h"

struct request {
    uint8_t header;
    uint32_t operands[64];
};

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        struct request request = {0};
        uint8_t reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, &request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (!is_request((uint8_t *)&request, length))
            continue;
        uint8_t plain[MAX_REQUEST] = {request.header};
        memcpy(plain + 1, request.operands, length - 1);
        size_t size = answer(plain, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
