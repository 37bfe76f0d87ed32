/* mistake: room for the digits of a 64-bit integer only
 * finding: long-text
 * says: 20 digits */
#include "asking.h"

static void print(const uint8_t *reply, size_t length, int text)
{
    char digits[21];
    if (text) {
        snprintf(digits, sizeof digits, "%.*s", (int)length - 1, reply + 1);
        printf("Result: %s\n", digits);
    } else {
        printf("Result: %" PRIu32 "\n", integer(reply));
    }
}

int main(int argc, char **argv) { return ask(argc, argv, print); }
