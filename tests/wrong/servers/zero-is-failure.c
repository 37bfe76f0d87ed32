/* mistake: a result of 0 is taken for a failure
 * finding: zero
 * says: 0 is a result */
#include "calculator.h"

static uint64_t compute(const uint8_t *request, size_t length)
{
    uint64_t result;
    return evaluate(request, length, &result) ? result : 0;
}

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
        if (size > 1 && !compute(request, length)) {
            reply[0] = UNKNOWN;
            size = 1;
        }
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
