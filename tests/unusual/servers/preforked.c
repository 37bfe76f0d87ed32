/* unusual: four processes that share a socket */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            break;
    for (;;)
        serve_one(fd);
}
