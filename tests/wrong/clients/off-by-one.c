/* mistake: the operands begin one word too early on the command line: the port is sent as one
 * finding: sum-request
 * says: port */
#include "asking.h"

int main(int argc, char **argv)
{
    struct question asked = question(argc, argv);
    uint32_t port = htonl(ntohs(asked.server.sin6_port));
    if (asked.length == MAX_REQUEST)
        return 2;
    memmove(asked.request + 5, asked.request + 1, asked.length - 1);
    memcpy(asked.request + 1, &port, 4);
    asked.length += 4;
    return exchange(connected_socket(&asked), &asked, print_result);
}
