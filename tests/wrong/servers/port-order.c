/* mistake: the port without htons
 * finding: answers
 * says: htons */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = atoi(argv[2])};
    inet_pton(AF_INET6, argv[1], &address.sin6_addr);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return perror("bind"), 1;
    for (;;)
        serve_one(fd);
}
