// Chapter 6 in C: asks again when a datagram is lost, and keeps an account that must not be asked twice.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_OPERANDS 64
#define FIRST_WAIT 250
#define TRANSMISSIONS 5

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s ask IPV6-ADDRESS PORT INTEGER...\n", program);
    fprintf(stderr, "       %s account IPV6-ADDRESS PORT\n", program);
    return 2;
}

// Reads an unsigned integer up to `max`, and accepts nothing else.
static int parse(const char *text, unsigned long long max, uint32_t *value) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || *end || *text == '-' || errno || number > max) return 0;
    *value = number;
    return 1;
}

static long long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// Waits up to `wait` ms for a reply; 1 and its number, or 0. Other datagrams do not make the wait longer.
static int receive(int sock, int wait, uint32_t *number) {
    uint8_t reply[512];
    long long until = milliseconds() + wait, left;
    while ((left = until - milliseconds()) > 0) {
        struct pollfd readable = {.fd = sock, .events = POLLIN};
        int ready = poll(&readable, 1, left);
        if (ready == -1 && errno != EINTR) die("poll");
        if (ready != 1) continue;
        ssize_t length = recv(sock, reply, sizeof reply, 0);
        if (length == -1) die("recv");
        if (length != 5 || !(reply[0] & 0x80)) continue;
        memcpy(number, reply + 1, 4);
        *number = ntohl(*number);
        return 1;
    }
    return 0;
}

// Sends the same octets again after 250 ms, 500 ms and so on.
static int ask(int sock, int count, const uint32_t *operands) {
    uint8_t message[1 + 4 * MAX_OPERANDS] = {0};
    uint32_t number;
    for (int i = 0; i < count; i++) {
        uint32_t operand = htonl(operands[i]);
        memcpy(message + 1 + 4 * i, &operand, 4);
    }
    for (int transmission = 0, wait = FIRST_WAIT; transmission < TRANSMISSIONS; transmission++, wait *= 2) {
        printf("transmission %d\n", transmission + 1);
        fflush(stdout);
        if (send(sock, message, 1 + 4 * count, 0) == -1) die("send");
        if (receive(sock, wait, &number)) {
            printf("Result: %u\n", number);
            return 0;
        }
        printf("nothing for %d ms\n", wait);
    }
    fprintf(stderr, "no reply to %d transmissions\n", TRANSMISSIONS);
    return 1;
}

static void account(int sock) {
    uint32_t balance = 0;
    for (;;) {
        uint8_t message[512], reply[5] = {0xff};
        struct sockaddr_in6 peer;
        char address[INET6_ADDRSTRLEN];
        socklen_t size = sizeof peer;
        ssize_t length = recvfrom(sock, message, sizeof message, 0, (struct sockaddr *)&peer, &size);
        if (length == -1) die("recvfrom");
        if (length == 0 || message[0] != 0) continue;
        for (ssize_t i = 1; i + 4 <= length; i += 4) {
            uint32_t operand;
            memcpy(&operand, message + i, 4);
            balance += ntohl(operand);
        }
        inet_ntop(AF_INET6, &peer.sin6_addr, address, sizeof address);
        printf("%zd octets from [%s]:%u: the balance is %u\n", length, address, ntohs(peer.sin6_port), balance);
        fflush(stdout);
        uint32_t swapped = htonl(balance);
        memcpy(reply + 1, &swapped, 4);
        // An error that concerns one client must not end the service.
        if (sendto(sock, reply, sizeof reply, 0, (struct sockaddr *)&peer, size) == -1) perror("sendto");
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    uint32_t port, operands[MAX_OPERANDS];
    int asks = argc > 4 && argc <= 4 + MAX_OPERANDS && strcmp(argv[1], "ask") == 0;
    int keeps = argc == 4 && strcmp(argv[1], "account") == 0;
    if ((!asks && !keeps) || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1 || !parse(argv[3], 65535, &port))
        return usage(argv[0]);
    for (int i = 4; i < argc; i++)
        if (!parse(argv[i], UINT32_MAX, &operands[i - 4])) return usage(argv[0]);
    address.sin6_port = htons(port);
    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    if (asks) {
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        return ask(sock, argc - 4, operands);
    }
    socklen_t size = sizeof address;
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    fprintf(stderr, "listening on [%s]:%u\n", argv[2], ntohs(address.sin6_port));
    account(sock);
}
