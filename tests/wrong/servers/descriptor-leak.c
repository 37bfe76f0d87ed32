/* mistake: the log is opened for each request and never closed
 * finding: leaks
 * says: descriptors */
#include "calculator.h"
#include <fcntl.h>

int main(int argc, char **argv)
{
    (void)argc;
    int fd = bound_socket(argv);
    for (;;) {
        serve_one(fd);
        int log = open("/dev/null", O_WRONLY | O_APPEND);
        if (log < 0) {
            perror("log");
            return 1;
        }
        dprintf(log, "answered\n");
    }
}
