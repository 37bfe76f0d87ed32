/* mistake: the function that serves one request opens and closes the socket
 * finding: burst
 * says: a new socket */
#include "calculator.h"

static void handle_request(char **argv)
{
    int fd = bound_socket(argv);
    serve_one(fd);
    close(fd);
}

int main(int argc, char **argv)
{
    (void)argc;
    for (;;)
        handle_request(argv);
}
