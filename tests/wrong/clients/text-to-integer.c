/* mistake: text is turned into an integer with atoi, only to be printed
 * finding: long-text
 * says: turned into an integer */
#include "asking.h"

static void print(const uint8_t *reply, size_t length, int text)
{
    char digits[MAX_REPLY];
    if (text) {
        snprintf(digits, sizeof digits, "%.*s", (int)length - 1, reply + 1);
        printf("Result: %ld\n", strtol(digits, NULL, 10));
    } else {
        printf("Result: %" PRIu32 "\n", integer(reply));
    }
}

int main(int argc, char **argv) { return ask(argc, argv, print); }
