/* unusual: a socket for each family, select, and results of any length by hand */
#include "calculator.h"
#include <sys/select.h>

int main(int argc, char **argv)
{
    (void)argc;
    int on = 1, six = socket(AF_INET6, SOCK_DGRAM, 0), four = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = address.sin6_port};
    inet_pton(AF_INET6, argv[1], &address.sin6_addr);
    setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(six, (struct sockaddr *)&address, sizeof address) < 0 || bind(four, (struct sockaddr *)&any, sizeof any) < 0)
        return perror("bind"), 1;
    for (;;) {
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(six, &readable);
        FD_SET(four, &readable);
        if (select(six + four, &readable, NULL, NULL, NULL) <= 0)
            continue;
        if (FD_ISSET(six, &readable))
            serve_one(six);
        if (FD_ISSET(four, &readable))
            serve_one(four);
    }
}
