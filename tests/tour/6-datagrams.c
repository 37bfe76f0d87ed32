// Chapter 6 as a C programmer writes it: 6-datagrams ask ADDRESS PORT INTEGER... | 6-datagrams account ADDRESS PORT
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TRANSMISSIONS 5

static void die(const char *what) {
    perror(what);
    exit(1);
}

// The same octets again, after 250 ms, 500 ms and so on.
static int ask(int sock, int count, char **words) {
    uint8_t message[1 + 4 * 64] = {0}, reply[512];
    for (int i = 0; i < count; i++) {
        uint32_t operand = htonl(strtoul(words[i], NULL, 10));
        memcpy(message + 1 + 4 * i, &operand, 4);
    }
    for (int transmission = 0; transmission < TRANSMISSIONS; transmission++) {
        struct pollfd readable = {.fd = sock, .events = POLLIN};
        printf("transmission %d\n", transmission + 1);
        if (send(sock, message, 1 + 4 * count, 0) == -1) die("send");
        int ready = poll(&readable, 1, 250 << transmission);
        if (ready == -1) die("poll");
        if (ready == 0) continue;
        ssize_t length = recv(sock, reply, sizeof reply, 0);
        if (length == -1) die("recv");
        if (length != 5 || !(reply[0] & 0x80)) continue;
        uint32_t number;
        memcpy(&number, reply + 1, 4);
        printf("Result: %u\n", ntohl(number));
        return 0;
    }
    return 1;
}

static void account(int sock) {
    uint32_t balance = 0;
    for (;;) {
        uint8_t message[512], reply[5] = {0x80};
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        ssize_t length = recvfrom(sock, message, sizeof message, 0, (struct sockaddr *)&peer, &size);
        if (length == -1) die("recvfrom");
        for (ssize_t i = 1; i + 4 <= length; i += 4) {
            uint32_t operand;
            memcpy(&operand, message + i, 4);
            balance += ntohl(operand);
        }
        uint32_t swapped = htonl(balance);
        memcpy(reply + 1, &swapped, 4);
        if (sendto(sock, reply, sizeof reply, 0, (struct sockaddr *)&peer, size) == -1) die("sendto");
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (argc < 4 || argc > 4 + 64 || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1) return 2;
    address.sin6_port = htons(atoi(argv[3]));
    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    if (strcmp(argv[1], "ask") == 0) {
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        return ask(sock, argc - 4, argv + 4);
    }
    socklen_t size = sizeof address;
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    fprintf(stderr, "listening on [::1]:%u\n", ntohs(address.sin6_port));
    account(sock);
}
