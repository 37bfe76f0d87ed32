/* mistake: the result is not turned into the machine's byte order
 * finding: integer-reply
 * says: ntohl */
#include "asking.h"

static void print(const uint8_t *reply, size_t length, int text)
{
    uint32_t value;
    memcpy(&value, reply + 1, 4);
    if (text)
        printf("Result: %.*s\n", (int)length - 1, reply + 1);
    else
        printf("Result: %" PRIu32 "\n", value);
}

int main(int argc, char **argv) { return ask(argc, argv, print); }
