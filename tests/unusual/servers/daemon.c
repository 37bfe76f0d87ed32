/* unusual: it goes into the background, with a session of its own */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    if (fork() > 0)
        return 0;
    setsid();
    if (fork() > 0)
        return 0;
    for (;;)
        serve_one(fd);
}
