/* unusual: it sends its first request 600 ms after its start, and says a lot on stderr */
#include "asking.h"

int main(int argc, char **argv)
{
    usleep(600000);
    for (int i = 0; i < 200; i++)
        fprintf(stderr, "\033[1mtrying %d\033[0m\n", i);
    return ask(argc, argv, print_result);
}
