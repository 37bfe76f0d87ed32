/* The client of the calculator, to be filled in where it says TODO.
 *
 *     ./client -op OPERATOR [-s] HOST PORT INTEGER...
 *     for example: ./client -op + ::1 10000 1 3 5 7 9
 *
 * The clauses in brackets are those of docs/protocol.md. To build it: make. To check it: lab check client -- ./client
 */
#include <arpa/inet.h> /* TODO: ntohl and htonl  [1.3] */
#include <getopt.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#define MAX_OPERANDS 64
#define MAX_REQUEST (1 + 4 * MAX_OPERANDS)
#define MAX_REPLY 257 /* [2.5] */
#define FIRST_WAIT 1  /* seconds  [5.1] */
#define TRIES 4

/* Writes the octets of a request, and returns how many; 0 as long as this is not written.
 *
 * One octet: four unused bits, which are 0, three bits of opcode (+ is 0, * is 1), one bit F (1 asks for text);
 * then the operands, four octets each, the most significant octet first.  [2.1 to 2.4]
 */
static size_t make_request(char operator, int text, const uint32_t *operands, int count, uint8_t request[MAX_REQUEST])
{
    /* TODO */
    (void)operator, (void)text, (void)operands, (void)count, (void)request;
    return 0;
}

/* Sends a request, prints the result, and returns the exit status. */
static int ask(int sock, const uint8_t *request, size_t length, int text)
{
    /* TODO: send the octets. */
    /* TODO: receive, into MAX_REPLY octets and one more, so that a longer datagram is recognised. */
    /* TODO: a datagram that is no reply does not count: receive again. recv returns how much came.  [2.8] */
    /* TODO: S, the most significant bit, is 0: an error. A message on stderr, and return 1.  [2.6] */
    /* TODO: else printf("Result: ...\n") with "%u" of ntohl (F = 0), or with the digits (F = 1): "%.*s".  [2.4] */
    /* TODO: nothing within FIRST_WAIT (SO_RCVTIMEO): send again, then wait twice as long; TRIES in all.  [5.1] */
    (void)sock, (void)request, (void)length, (void)text;
    fprintf(stderr, "client: no reply\n");
    return 1;
}

static int usage(const char *name)
{
    fprintf(stderr, "usage: %s -op + | * [-s] HOST PORT INTEGER...\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"op", required_argument, NULL, 'o'}, {"string", no_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    char operator = 0;
    int text = 0, option;
    /* Both -op and --op; "+" ends the options at the first other word. */
    while ((option = getopt_long_only(argc, argv, "+s", options, NULL)) != -1) {
        if (option == 'o' && (!strcmp(optarg, "+") || !strcmp(optarg, "*")))
            operator = optarg[0];
        else if (option == 's')
            text = 1;
        else
            return usage(argv[0]);
    }
    int count = argc - optind - 2;
    if (!operator || count < 1 || count > MAX_OPERANDS)
        return usage(argv[0]);
    uint32_t operands[MAX_OPERANDS];
    for (int at = 0; at < count; at++) {
        char *end, *word = argv[optind + 2 + at];
        unsigned long long operand = strtoull(word, &end, 10);
        if (*word < '0' || *word > '9' || *end || operand > UINT32_MAX) {
            fprintf(stderr, "client: %s: expected an integer from 0 to 4294967295\n", word);
            return 2;
        }
        operands[at] = operand;
    }
    uint8_t request[MAX_REQUEST];
    size_t length = make_request(operator, text, operands, count, request);
    if (length == 0) {
        fprintf(stderr, "client: there is no request yet: fill in make_request\n");
        return 1;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
    int wrong = getaddrinfo(argv[optind], argv[optind + 1], &hints, &found);
    if (wrong) {
        fprintf(stderr, "client: %s %s: %s\n", argv[optind], argv[optind + 1], gai_strerror(wrong));
        return 1;
    }
    int sock = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    /* What comes from elsewhere never reaches a connected socket.  [2.8] */
    if (sock < 0 || connect(sock, found->ai_addr, found->ai_addrlen) < 0) {
        perror("client");
        return 1;
    }
    freeaddrinfo(found);
    return ask(sock, request, length, text);
}
