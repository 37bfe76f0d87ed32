/* A client of the classic form as one writes it in C, with one mistake of choice:
 * client FAULT -op OPERATOR [-s] HOST PORT OPERAND...
 * Without a mistake ("-") it does all that docs/protocol.md recommends. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MAX_OPERANDS = 64, MAX_REPLY = 257, TRIES = 3, FIRST_WAIT_MS = 250 };

static const char *fault;

static int is(const char *name) { return strcmp(fault, name) == 0; }

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Prints the result and ends, or returns if the datagram does not count. */
static void handle(uint8_t *reply, ssize_t length, int text)
{
    if (length == 0) {
        if (is("empty-is-end")) {
            fprintf(stderr, "the server has closed the connection\n");
            exit(1);
        }
        if (!is("no-length"))
            return;
    }
    if (is("crash-empty") && length == 1)
        abort();
    if (is("crash-long") && length > MAX_REPLY) {
        volatile char *nowhere = 0;
        *nowhere = 1;
    }
    if (is("exact-header") ? reply[0] != 0x80 : !(reply[0] & 0x80) && !is("no-error")) {
        fprintf(stderr, "the server reports an error\n");
        exit(is("exit-zero") ? 0 : 1);
    }
    if (!text) {
        if (length != 5 && !is("no-length") && !is("no-error"))
            return;
        uint32_t value;
        memcpy(&value, reply + 1, 4);
        if (!is("byte-order"))
            value = ntohl(value);
        printf(is("signed") ? "Result: %d\n" : "Result: %u\n", value);
    } else {
        size_t digits = length - 1;
        if (length < 2 || length > MAX_REPLY) {
            if (!is("no-length"))
                return;
        }
        if (digits > 1 && reply[length - 1] == 0 && !is("prints-nul"))
            digits--;
        size_t sign = reply[1] == '-';
        if (!is("any-text"))
            for (size_t i = sign; i < digits; i++)
                if (reply[1 + i] < '0' || reply[1 + i] > '9')
                    if (!(is("prints-nul") && reply[1 + i] == 0))
                        return;
        if (is("unterminated"))
            printf("Result: %s\n", (char *)reply + 1);
        else
            printf("Result: %.*s", (int)digits, (char *)reply + 1), fwrite("\0\n" + !is("prints-nul"), 1, 1 + is("prints-nul"), stdout);
    }
    if (!is("prints-twice"))
        exit(0);
}

int main(int argc, char **argv)
{
    fault = argv[1];
    int at = 4, text = 0;
    if (argc < 7)
        return 2;
    char operator = argv[3][0];
    if (strcmp(argv[at], "-s") == 0) {
        text = 1;
        at++;
    }
    struct sockaddr_in6 server = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[at + 1]))};
    inet_pton(AF_INET6, argv[at], &server.sin6_addr);
    int count = argc - at - 2;
    if (count > MAX_OPERANDS) {
        fprintf(stderr, "at most 64 operands\n");
        return 2;
    }
    uint8_t request[1 + 4 * MAX_OPERANDS];
    request[0] = (operator== '*') << !is("opcode-shifted") | (text && !is("no-text"));
    if (is("unused-bits"))
        request[0] |= 0x80;
    for (int i = 0; i < count; i++) {
        char *end;
        errno = 0;
        unsigned long value = strtoul(argv[at + 2 + i], &end, 10);
        if ((*end || errno || value > UINT32_MAX || argv[at + 2 + i][0] == '-') && !is("atoi")) {
            fprintf(stderr, "operand %d is no 32-bit integer\n", i + 1);
            return 2;
        }
        if (is("atoi") && value > INT32_MAX)
            value = INT32_MAX;
        uint32_t operand = is("byte-order") ? value : htonl(value);
        memcpy(request + 1 + 4 * (is("reversed") ? count - 1 - i : i), &operand, 4);
    }
    size_t length = 1 + 4 * count;
    if (is("fixed-length"))
        length = sizeof request;

    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (!is("any-source") && connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        return perror("connect"), 1;
    static uint8_t reply[70000];
    if (is("unterminated"))
        memset(reply, '7', sizeof reply - 1);
    long wait = FIRST_WAIT_MS;
    for (int try = 0; try < (is("no-retry") || is("blocks") ? 1 : TRIES); try++, wait *= 2) {
        if (is("changes") && try)
            request[0] ^= 0x10, request[4] ^= 1;
        size_t first = is("two-sends") ? 1 : length;
        for (size_t from = 0; from < length; from += first, first = length - 1)
            sendto(fd, request + from, first, 0, is("any-source") ? (struct sockaddr *)&server : 0,
                   is("any-source") ? sizeof server : 0);
        long deadline = milliseconds() + wait;
        for (;;) {
            long left = deadline - milliseconds();
            if (is("blocks"))
                left = 1000000;
            if (left <= 0)
                break;
            struct timeval timeout = {left / 1000, left % 1000 * 1000};
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
            ssize_t got = recv(fd, reply, sizeof reply, 0);
            if (got >= 0)
                handle(reply, got, text);
        }
    }
    if (is("prints-twice"))
        return 0;
    fprintf(stderr, "no reply\n");
    return is("silent-success") ? 0 : 1;
}
