/* mistake: a request that a client repeats is taken for a duplicate and dropped
 * finding: again
 * says: the same octets */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    uint8_t last[1024];
    ssize_t last_length = -1;
    struct sockaddr_in6 last_client;
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in6 client = {0};
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        if (length == last_length && !memcmp(request, last, length) && !memcmp(&client, &last_client, sizeof client))
            continue;
        memcpy(last, request, length);
        last_length = length;
        last_client = client;
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
