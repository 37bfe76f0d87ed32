/* mistake: getopt reads -op as -o with the argument "p", and the usage is printed
 * finding: sends
 * says: usage */
#include "asking.h"

int main(int argc, char **argv)
{
    char operator = 0;
    for (int option; (option = getopt(argc, argv, "+o:s")) != -1;)
        if (option == 'o')
            operator = optarg[0];
    if (operator != '+' && operator != '*') {
        fprintf(stderr, "usage: %s -op +|* [-s] HOST PORT INTEGER...\n", argv[0]);
        return 1;
    }
    return ask(argc, argv, print_result);
}
