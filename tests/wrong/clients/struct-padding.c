/* mistake: the request is a struct, and goes out with the compiler's padding
 * finding: sum-request
 * says: padding */
#include "asking.h"

struct request {
    uint8_t header;
    uint32_t operands[64];
};

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    struct request request = {.header = asked.request[0]};
    memcpy(request.operands, asked.request + 1, asked.length - 1);
    if (asked.length == MAX_REQUEST)
        return 2;
    asked.length += 3;
    memcpy(asked.request, &request, asked.length);
    return exchange(connected_socket(&asked), &asked, print_result);
}
