// Chapter 3 in C: the course's client and server.
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

#define MAX_OPERANDS 64
#define MAX_MESSAGE (1 + 4 * MAX_OPERANDS)

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s server IPV6-ADDRESS PORT\n", program);
    fprintf(stderr, "       %s +|* -d|-s IPV6-ADDRESS PORT OPERAND...\n", program);
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

static int ask(int sock, char operation, int as_text, int count, const uint32_t *operands) {
    uint8_t message[MAX_MESSAGE];
    message[0] = (operation == '*' ? 1 : 0) << 1 | as_text;
    for (int i = 0; i < count; i++) {
        uint32_t operand = htonl(operands[i]);
        memcpy(message + 1 + 4 * i, &operand, 4);
    }
    if (send(sock, message, 1 + 4 * count, 0) == -1) die("send");
    char reply[MAX_MESSAGE + 1];
    ssize_t length = recv(sock, reply, MAX_MESSAGE, 0);
    if (length == -1) die("recv");
    if (length > 0 && !(reply[0] & 0x80)) {
        fprintf(stderr, "the server replied with an error\n");
        return 1;
    }
    // Without this check the program would print what was in its buffer before.
    if (as_text ? length < 2 : length != 5) {
        fprintf(stderr, "this is not a reply to such a request\n");
        return 1;
    }
    reply[length] = '\0';
    if (as_text) {
        printf("Result: %s\n", reply + 1);
        return 0;
    }
    uint32_t number;
    memcpy(&number, reply + 1, 4);
    printf("Result: %u\n", ntohl(number));
    return 0;
}

static void serve(int sock) {
    for (;;) {
        uint8_t message[MAX_MESSAGE + 1];
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        ssize_t length = recvfrom(sock, message, sizeof message, 0, (struct sockaddr *)&peer, &size);
        if (length == -1) die("recvfrom");
        // No reply to a reply, nor to anything but 1 to 64 whole operands.
        if (length < 5 || length > MAX_MESSAGE || length % 4 != 1 || (message[0] & 0x7f) == 0x7f) continue;
        int opcode = message[0] >> 1 & 7;
        uint32_t number = opcode;
        for (ssize_t i = 1; i < length; i += 4) {
            uint32_t operand;
            memcpy(&operand, message + i, 4);
            number = opcode == 0 ? number + ntohl(operand) : number * ntohl(operand);
        }
        char reply[MAX_MESSAGE];
        size_t octets = 1;
        reply[0] = opcode > 1 ? 0x7f : (char)0xff;
        if (opcode <= 1 && message[0] & 1) {
            octets += sprintf(reply + 1, "%u", number);
        } else if (opcode <= 1) {
            number = htonl(number);
            memcpy(reply + 1, &number, 4);
            octets += 4;
        }
        // An error that concerns one client must not end the service.
        if (sendto(sock, reply, octets, 0, (struct sockaddr *)&peer, size) == -1) perror("sendto");
    }
}

int main(int argc, char **argv) {
    int server = argc == 4 && strcmp(argv[1], "server") == 0;
    int client = argc >= 6 && argc <= 5 + MAX_OPERANDS && (!strcmp(argv[1], "+") || !strcmp(argv[1], "*")) &&
                 (!strcmp(argv[2], "-d") || !strcmp(argv[2], "-s"));
    int at = server ? 2 : 3;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    uint32_t port, operands[MAX_OPERANDS];
    if ((!server && !client) || inet_pton(AF_INET6, argv[at], &address.sin6_addr) != 1 ||
        !parse(argv[at + 1], 65535, &port))
        return usage(argv[0]);
    for (int i = 5; client && i < argc; i++)
        if (!parse(argv[i], UINT32_MAX, &operands[i - 5])) return usage(argv[0]);
    address.sin6_port = htons(port);
    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    if (client) {
        struct timeval limit = {.tv_sec = 2};
        if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == -1) die("setsockopt");
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        return ask(sock, argv[1][0], argv[2][1] == 's', argc - 5, operands);
    }
    socklen_t size = sizeof address;
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    fprintf(stderr, "listening on [%s]:%u\n", argv[2], ntohs(address.sin6_port));
    serve(sock);
}
