/* A server of the classic form as one writes it in C, with one mistake of choice: server HOST PORT [FAULT].
 * Without a fault it does all that docs/protocol.md recommends. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_OPERANDS = 64, MAX_REQUEST = 1 + 4 * MAX_OPERANDS, MAX_REPLY = 257 };

static const char *fault = "";

static int is(const char *name) { return strcmp(fault, name) == 0; }

/* The exact product or sum in decimal, by hand: digits in base 10^9, least significant first. */
static size_t decimal(char *text, const uint32_t *operands, size_t count, int opcode)
{
    uint32_t digits[MAX_OPERANDS * 2] = {opcode};
    size_t length = 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t carry = opcode ? 0 : operands[i];
        for (size_t j = 0; j < length; j++) {
            carry += (uint64_t)digits[j] * (opcode ? operands[i] : 1);
            digits[j] = carry % 1000000000;
            carry /= 1000000000;
        }
        while (carry) {
            digits[length++] = carry % 1000000000;
            carry /= 1000000000;
        }
    }
    while (length > 1 && digits[length - 1] == 0)
        length--;
    size_t written = sprintf(text, "%" PRIu32, digits[length - 1]);
    while (--length)
        written += sprintf(text + written, "%09" PRIu32, digits[length - 1]);
    return written;
}

static size_t error(uint8_t *reply)
{
    size_t length = is("amplify") ? 200 : 7;
    reply[0] = 0x7f;
    memset(reply + 1, '!', length);
    if (is("stray"))
        reply[0] = rand() & 0x7f;
    return 1 + length;
}

/* Answers one datagram; 0 is silence. */
static size_t answer(uint8_t *request, size_t length, uint8_t *reply)
{
    static uint64_t kept;
    uint32_t operands[MAX_OPERANDS + 1000];
    if (length == 0 && is("crash-empty"))
        abort();
    if (length > MAX_REQUEST && is("crash-long"))
        abort();
    if (length % 4 != 1 && is("hang"))
        for (;;)
            pause();
    if (length > 40 && length % 4 != 1 && is("crash-ragged"))
        abort();
    int malformed = length < 5 || length > MAX_REQUEST || length % 4 != 1;
    if (is("answers-malformed") && malformed && length <= MAX_REQUEST)
        return error(reply);
    if (is("over-64") && length > MAX_REQUEST && length < 4000 && length % 4 == 1)
        malformed = 0;
    if (is("over-read") && length > 1 && length < MAX_REQUEST)
        malformed = 0;
    if (malformed)
        return 0;
    if ((request[0] == 0xff || request[0] == 0x7f) && !is("answers-replies"))
        return 0;
    int format = request[0] & 1, opcode = request[0] >> 1 & 7;
    if (is("opcode-shifted"))
        opcode = request[0] >> 2 & 7;
    if (is("unused-bits") && request[0] & 0xf0)
        return error(reply);
    if (is("no-text"))
        format = 0;
    if (opcode > 1)
        return is("silent-unknown") ? 0 : error(reply);

    size_t count = (length - 1 + 3) / 4; /* rounds up: the over-read */
    uint64_t result = opcode;
    int over = 0;
    if (is("stateful") && !opcode)
        result = kept;
    for (size_t i = 0; i < count; i++) {
        uint32_t operand;
        memcpy(&operand, request + 1 + 4 * i, 4);
        operands[i] = is("byte-order") ? operand : ntohl(operand);
        result = opcode ? result * operands[i] : result + operands[i];
        over |= result > UINT32_MAX;
        result &= UINT32_MAX;
    }
    kept = result;
    if (is("from-second") && count == 1)
        result = opcode;

    reply[0] = is("success-bit") ? 0x7f : 0xff;
    if (is("stray"))
        reply[0] = 0x80 | (rand() & 0x7f);
    size_t used;
    if (!format) {
        if (over && !is("wraps"))
            return error(reply);
        uint32_t value = is("byte-order") || is("result-order") ? result : htonl(result);
        memcpy(reply + 1, &value, 4);
        used = 4;
    } else if (is("signed")) {
        used = sprintf((char *)reply + 1, "%d", (int)result);
    } else if (is("wraps") || is("stateful") || is("from-second")) {
        used = sprintf((char *)reply + 1, "%" PRIu32, (uint32_t)result);
    } else {
        char text[2000];
        used = decimal(text, operands, count, opcode);
        if (used > 256 && !is("too-long"))
            return error(reply);
        memcpy(reply + 1, text, used);
    }
    if (is("empty-zero") && format && result == 0)
        return 1;
    if (is("nul") && format)
        reply[1 + used++] = 0;
    if (is("padded") && format) {
        memset(reply + 1 + used, 0, 256 - used);
        used = 256;
    }
    if (is("no-header")) {
        memmove(reply, reply + 1, used);
        return used;
    }
    return 1 + used;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    if (argc > 3)
        fault = argv[3];
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET6, argv[1], &address.sin6_addr);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), other = socket(AF_INET6, SOCK_DGRAM, 0), on = 1;
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    if (is("never-binds"))
        for (;;)
            pause();
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("bind");
        return 1;
    }
    static uint8_t request[65536];
    for (;;) {
        static uint8_t reply[70000];
        char control[256];
        struct sockaddr_in6 source;
        size_t room = is("small-buffer") ? 100 : sizeof request;
        struct iovec in = {request, room};
        struct msghdr message = {&source, sizeof source, &in, 1, control, sizeof control, 0};
        ssize_t length = recvmsg(fd, &message, 0);
        if (length < 0)
            continue;
        size_t size = answer(request, length, reply);
        if (size == 0 || is("mute"))
            continue;
        if (is("wrong-port")) {
            sendto(other, reply, size, 0, (struct sockaddr *)&source, sizeof source);
            continue;
        }
        struct iovec out = {reply, size};
        message.msg_iov = &out;
        if (is("wrong-address"))
            message.msg_controllen = 0;
        sendmsg(fd, &message, 0);
        if (is("twice"))
            sendmsg(fd, &message, 0);
        if (is("one-shot"))
            return 0;
    }
}
