/* A right client in C in parts, for programs whose mistake is in one of them. */
#ifndef ASKING_H
#define ASKING_H
#include "calculator.h"
#include <poll.h>
#include <time.h>

enum { TRIES = 3, FIRST_WAIT_MS = 250 };

/* What the command line asks for: -op OPERATOR [-s] HOST PORT INTEGER... */
struct question {
    struct sockaddr_in6 server;
    uint8_t request[MAX_REQUEST];
    size_t length;
    int text;
};

static inline struct question question(int argc, char **argv)
{
    struct question question = {.server = {.sin6_family = AF_INET6}, .length = 1};
    int at = 3;
    if (argc < 6)
        fprintf(stderr, "usage: client -op OPERATOR [-s] HOST PORT INTEGER...\n"), exit(2);
    if (strcmp(argv[at], "-s") == 0)
        question.text = 1, at++;
    question.request[0] = (argv[2][0] == '*') << 1 | question.text;
    inet_pton(AF_INET6, argv[at], &question.server.sin6_addr);
    question.server.sin6_port = htons(atoi(argv[at + 1]));
    for (at += 2; at < argc; at++, question.length += 4) {
        char *end;
        errno = 0;
        unsigned long value = strtoul(argv[at], &end, 10);
        if (*end || errno || value > UINT32_MAX || argv[at][0] == '-' || question.length == MAX_REQUEST)
            fprintf(stderr, "1 to 64 operands from 0 to 4294967295 expected\n"), exit(2);
        uint32_t operand = htonl(value);
        memcpy(question.request + question.length, &operand, 4);
    }
    return question;
}

/* A socket that receives from the server alone. */
static inline int connected_socket(const struct question *question)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (connect(fd, (const struct sockaddr *)&question->server, sizeof question->server) < 0)
        perror("connect"), exit(1);
    return fd;
}

static inline uint32_t integer(const uint8_t *reply)
{
    uint32_t value;
    memcpy(&value, reply + 1, 4);
    return ntohl(value);
}

/* Whether a datagram counts as the reply; an error ends the program. */
static inline int counts(const uint8_t *reply, ssize_t length, int text)
{
    if (length < 1)
        return 0;
    if (!(reply[0] & 0x80))
        fprintf(stderr, "the server reports an error\n"), exit(1);
    if (!text)
        return length == 5;
    if (length < 2 || length > MAX_REPLY)
        return 0;
    for (ssize_t at = 1 + (reply[1] == '-'); at < length; at++)
        if ((reply[at] < '0' || reply[at] > '9') && !(reply[at] == 0 && at == length - 1))
            return 0;
    return 1;
}

static inline long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

typedef void print_function(const uint8_t *reply, size_t length, int text);

/* Asks, repeats, and prints the result of the reply that counts. */
static inline int exchange(int fd, const struct question *asked, print_function *print)
{
    long wait = FIRST_WAIT_MS;
    for (int try = 0; try < TRIES; try++, wait *= 2) {
        send(fd, asked->request, asked->length, 0);
        for (long deadline = milliseconds() + wait, left; (left = deadline - milliseconds()) > 0;) {
            uint8_t reply[1024];
            struct pollfd readable = {.fd = fd, .events = POLLIN};
            if (poll(&readable, 1, left) <= 0)
                break;
            ssize_t length = recv(fd, reply, sizeof reply, MSG_TRUNC);
            if (!counts(reply, length, asked->text))
                continue;
            if (asked->text && reply[length - 1] == 0)
                length--;
            print(reply, length, asked->text);
            return 0;
        }
    }
    fprintf(stderr, "no reply\n");
    return 1;
}

static inline int ask(int argc, char **argv, print_function *print)
{
    struct question asked = question(argc, argv);
    return exchange(connected_socket(&asked), &asked, print);
}

static inline void print_result(const uint8_t *reply, size_t length, int text)
{
    if (text)
        printf("Result: %.*s\n", (int)length - 1, reply + 1);
    else
        printf("Result: %" PRIu32 "\n", integer(reply));
}
#endif
