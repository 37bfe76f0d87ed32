/* mistake: F at the other end of the octet
 * finding: text-request
 * says: least significant */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    asked.request[0] = asked.text << 7 | (asked.request[0] & 0x0e);
    return exchange(connected_socket(&asked), &asked, print_result);
}
