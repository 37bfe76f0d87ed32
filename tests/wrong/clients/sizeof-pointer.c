/* mistake: sizeof of a pointer is taken for the length of the request
 * finding: sum-request
 * says: sizeof */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    uint8_t *request = asked.request;
    asked.length = sizeof request;
    return exchange(connected_socket(&asked), &asked, print_result);
}
