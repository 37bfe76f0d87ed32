/* mistake: the header octet is read as part of the result
 * finding: integer-reply
 * says: header */
#include "asking.h"

static void print(const uint8_t *reply, size_t length, int text)
{
    if (text)
        printf("Result: %.*s\n", (int)length - 1, reply + 1);
    else
        printf("Result: %" PRIu32 "\n", integer(reply - 1));
}

int main(int argc, char **argv) { return ask(argc, argv, print); }
