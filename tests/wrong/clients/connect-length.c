/* mistake: sizeof(struct sockaddr), the length of an IPv4 address, for an IPv6 one
 * finding: sends
 * says: Invalid argument */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (connect(fd, (struct sockaddr *)&asked.server, sizeof(struct sockaddr)) < 0)
        return perror("connect"), 1;
    return ask(argc, argv, print_result);
}
