/* mistake: bit-fields in the order of the diagram, which is not the order of this machine's compiler
 * finding: product text-sum
 * says: wrong end of the octet */
#include "calculator.h"

struct header {
    uint8_t unused : 4, opcode : 3, format : 1;
};

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (!is_request(request, length))
            continue;
        struct header *header = (struct header *)request;
        request[0] = header->opcode << 1 | header->format;
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
