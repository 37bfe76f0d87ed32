// Chapter 2 in C: the same modes and the same output as the Rust program. The "unswapped" modes forget htonl and ntohl.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_MESSAGE_SIZE 1024
#define MAX_INTEGERS (MAX_MESSAGE_SIZE / 4)

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s sum-server|text-server|unswapped-server IPV6-ADDRESS PORT\n", program);
    fprintf(stderr, "       %s ask|ask-text|ask-unswapped|ask-half-swapped IPV6-ADDRESS PORT [INTEGER...]\n", program);
    return 2;
}

static uint32_t same(uint32_t value) { return value; }

// Reads an unsigned integer up to `max`, and accepts nothing else.
static int parse(const char *text, unsigned long long max, uint32_t *value) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || *end || *text == '-' || errno || number > max) return 0;
    *value = number;
    return 1;
}

static void print_hex(const char *before, const unsigned char *octets, size_t length) {
    printf("%s", before);
    for (size_t i = 0; i < length; i++) printf("%s%02x", i && i % 4 == 0 ? " " : "", octets[i]);
    printf("\n");
}

static int ask(int sock, const uint32_t *numbers, int count, int text, uint32_t (*encode)(uint32_t),
               uint32_t (*decode)(uint32_t)) {
    uint32_t message[MAX_INTEGERS], sum;
    unsigned char reply[MAX_MESSAGE_SIZE + 1];
    for (int i = 0; i < count; i++) message[i] = encode(numbers[i]);
    print_hex("sent     ", (unsigned char *)message, count * sizeof(uint32_t));
    fflush(stdout);
    if (send(sock, message, count * sizeof(uint32_t), 0) == -1) die("send");
    ssize_t length = recv(sock, reply, MAX_MESSAGE_SIZE, 0);
    if (length == -1) die("recv");
    print_hex("received ", reply, length);
    // One NUL after the digits is accepted; it is not part of the number.
    size_t digits = length && reply[length - 1] == '\0' ? length - 1 : length;
    if (text) reply[digits] = '\0';
    if (text ? digits == 0 || strspn((char *)reply, "0123456789") != digits : length != sizeof sum) {
        fprintf(stderr, "this is not a reply to such a request\n");
        return 1;
    }
    if (text) {
        printf("sum      %s\n", (char *)reply);
        return 0;
    }
    memcpy(&sum, reply, sizeof sum);
    printf("sum      %u\n", decode(sum));
    return 0;
}

static void serve(int sock, int text, uint32_t (*order)(uint32_t)) {
    for (;;) {
        uint32_t message[MAX_INTEGERS], sum = 0;
        struct sockaddr_in6 peer;
        char address[INET6_ADDRSTRLEN], digits[16];
        socklen_t size = sizeof peer;
        ssize_t length = recvfrom(sock, message, sizeof message, 0, (struct sockaddr *)&peer, &size);
        if (length == -1) die("recvfrom");
        inet_ntop(AF_INET6, &peer.sin6_addr, address, sizeof address);
        print_hex("received ", (unsigned char *)message, length);
        if (length == 0 || length % 4) {
            printf("from [%s]:%u: %zd octets are not a list of 32-bit integers\n", address, ntohs(peer.sin6_port), length);
            fflush(stdout);
            continue;
        }
        for (ssize_t i = 0; i < length / 4; i++) sum += order(message[i]);
        printf("from [%s]:%u: %zd integers, sum %u\n", address, ntohs(peer.sin6_port), length / 4, sum);
        fflush(stdout);
        // With the terminating NUL, as many C servers send it.
        size_t octets = text ? (size_t)sprintf(digits, "%u", sum) + 1 : sizeof sum;
        uint32_t swapped = order(sum);
        // An error that concerns one client must not end the service.
        if (sendto(sock, text ? (void *)digits : &swapped, octets, 0, (struct sockaddr *)&peer, size) == -1)
            perror("sendto");
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    uint32_t port, numbers[MAX_INTEGERS] = {1, 3, 5, 7, 9};
    int count = argc > 4 ? argc - 4 : 5;
    if (argc < 4 || count > MAX_INTEGERS || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1 ||
        !parse(argv[3], 65535, &port))
        return usage(argv[0]);
    for (int i = 4; i < argc; i++)
        if (!parse(argv[i], UINT32_MAX, &numbers[i - 4])) return usage(argv[0]);
    address.sin6_port = htons(port);
    const struct { const char *name; int asks, text; uint32_t (*encode)(uint32_t), (*decode)(uint32_t); } modes[] = {
        {"sum-server", 0, 0, htonl, htonl},       {"text-server", 0, 1, htonl, htonl},
        {"unswapped-server", 0, 0, same, same},   {"ask", 1, 0, htonl, ntohl},
        {"ask-text", 1, 1, htonl, ntohl},         {"ask-unswapped", 1, 0, same, same},
        {"ask-half-swapped", 1, 0, htonl, same},
    };
    size_t mode = 0, known = sizeof modes / sizeof modes[0];
    while (mode < known && strcmp(modes[mode].name, argv[1])) mode++;
    if (mode == known) return usage(argv[0]);

    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    if (modes[mode].asks) {
        struct timeval limit = {.tv_sec = 5};
        if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == -1) die("setsockopt");
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        return ask(sock, numbers, count, modes[mode].text, modes[mode].encode, modes[mode].decode);
    }
    socklen_t size = sizeof address;
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    fprintf(stderr, "listening on [%s]:%u\n", argv[2], ntohs(address.sin6_port));
    serve(sock, modes[mode].text, modes[mode].encode);
}
