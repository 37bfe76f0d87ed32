/* mistake: operands are sent as long, 8 octets each
 * finding: sum-request
 * says: 8 octets */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv), wide = asked;
    wide.length = 1;
    for (size_t at = 1; at < asked.length && wide.length + 8 < sizeof wide.request; at += 4, wide.length += 8) {
        memset(wide.request + wide.length, 0, 4);
        memcpy(wide.request + wide.length + 4, asked.request + at, 4);
    }
    return exchange(connected_socket(&wide), &wide, print_result);
}
