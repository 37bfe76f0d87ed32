/* mistake: the digits of a result are written from the least significant on
 * finding: text-sum
 * says: reverse */
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
        uint64_t result;
        if (size > 1 && request[0] & 1 && evaluate(request, length, &result)) {
            size = 1;
            do
                reply[size++] = '0' + result % 10;
            while (result /= 10);
        }
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
