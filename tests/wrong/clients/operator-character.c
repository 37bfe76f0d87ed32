/* mistake: the operator's character is sent as the opcode
 * finding: sum-request
 * says: character */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    asked.request[0] = argv[2][0];
    return exchange(connected_socket(&asked), &asked, print_result);
}
