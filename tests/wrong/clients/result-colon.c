/* mistake: no space between "Result:" and the number
 * finding: result-line
 * says: space */
#include "asking.h"

static void print(const uint8_t *reply, size_t length, int text)
{
    if (text)
        printf("Result:%.*s\n", (int)length - 1, reply + 1);
    else
        printf("Result:%" PRIu32 "\n", integer(reply));
}

int main(int argc, char **argv) { return ask(argc, argv, print); }
