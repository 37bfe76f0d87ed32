// Chapter 3 in C: fields of any number of bits. "struct" shows why a C struct is not a message format.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OCTETS 512

static const char *program;

static void fail(const char *what, const char *word) {
    fprintf(stderr, "%s: %s \"%s\"\n", program, what, word);
    exit(2);
}

static int usage(void) {
    fprintf(stderr, "usage: %s pack VALUE:BITS...\n", program);
    fprintf(stderr, "       %s unpack OCTETS BITS...\n", program);
    fprintf(stderr, "       %s struct\n", program);
    return 2;
}

static unsigned width(const char *word) {
    char *end;
    unsigned long bits = strtoul(word, &end, 10);
    if (end == word || *end || bits < 1 || bits > 64) fail("a field has 1 to 64 bits, not", word);
    return bits;
}

static void whole_octets(size_t bits) {
    if (bits % 8 == 0 && bits <= 8 * MAX_OCTETS) return;
    fprintf(stderr, "%s: %zu bits are not a number of whole octets up to %d\n", program, bits, MAX_OCTETS);
    exit(2);
}

static void print_octets(const uint8_t *octets, size_t count) {
    for (size_t i = 0; i < count; i++) printf("%s%02x", i ? " " : "", octets[i]);
    printf("\n");
}

static void pack(int count, char **words) {
    uint8_t octets[MAX_OCTETS + 8] = {0};
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        char *colon = strchr(words[i], ':'), *end;
        if (!colon) fail("expected VALUE:BITS, found", words[i]);
        unsigned bits = width(colon + 1);
        errno = 0;
        uint64_t value = strtoull(words[i], &end, 10);
        if (end != colon || end == words[i] || *words[i] == '-' || errno) fail("not a value from 0 to 2^64-1:", words[i]);
        if (bits < 64 && value >> bits) fail("a value that needs more bits:", words[i]);
        if (used + bits > 8 * MAX_OCTETS) fail("too many fields from", words[i]);
        for (unsigned place = bits; place-- > 0; used++)
            octets[used / 8] |= (value >> place & 1) << (7 - used % 8);
    }
    whole_octets(used);
    print_octets(octets, used / 8);
}

static void unpack(const char *hex, int count, char **words) {
    uint8_t octets[MAX_OCTETS];
    size_t length = 0, used = 0, bits = 0;
    unsigned octet;
    int taken;
    for (const char *rest = hex; *rest; rest += taken) {
        if (length == MAX_OCTETS || sscanf(rest, " %2x%n", &octet, &taken) != 1) fail("expected octets, found", hex);
        octets[length++] = octet;
    }
    for (int i = 0; i < count; i++) bits += width(words[i]);
    whole_octets(bits);
    if (bits / 8 != length) fail("a different number of octets than the fields have:", hex);
    for (int i = 0; i < count; i++) {
        uint64_t value = 0;
        for (unsigned left = width(words[i]); left > 0; left--, used++)
            value = value << 1 | (octets[used / 8] >> (7 - used % 8) & 1);
        printf("%s%llu", i ? " " : "", (unsigned long long)value);
    }
    printf("\n");
}

// The compiler chooses the order of the bits, the padding and, with the processor, the order of the octets.
static void show_struct(void) {
    struct {
        uint16_t first;
        unsigned a : 1, b : 1, c : 1, d : 1, e : 1, f : 1, g : 1, h : 1;
        unsigned second : 24;
        uint8_t third, fourth;
    } message;
    memset(&message, 0, sizeof message);
    message.first = 4660;
    message.a = message.c = message.h = 1;
    message.second = 66051;
    message.third = 7;
    message.fourth = 255;
    print_octets((uint8_t *)&message, sizeof message);
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc > 2 && strcmp(argv[1], "pack") == 0)
        pack(argc - 2, argv + 2);
    else if (argc > 3 && strcmp(argv[1], "unpack") == 0)
        unpack(argv[2], argc - 3, argv + 3);
    else if (argc == 2 && strcmp(argv[1], "struct") == 0)
        show_struct();
    else
        return usage();
    return 0;
}
