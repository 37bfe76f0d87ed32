/* mistake: bind is missing: the kernel chooses a port when the socket is first used
 * finding: answers
 * says: bind */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    for (;;)
        serve_one(fd);
}
