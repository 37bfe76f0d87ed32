// Chapter 3 as a C programmer writes it: the course's client and server.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_MESSAGE 257

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int ask(int sock, char operation, char format, int count, char **words) {
    uint8_t message[MAX_MESSAGE];
    message[0] = (operation == '*' ? 1 : 0) << 1 | (format == 's');
    for (int i = 0; i < count; i++) {
        uint32_t operand = htonl(strtoul(words[i], NULL, 10));
        memcpy(message + 1 + 4 * i, &operand, 4);
    }
    if (send(sock, message, 1 + 4 * count, 0) == -1) die("send");
    char reply[MAX_MESSAGE + 1];
    ssize_t length = recv(sock, reply, MAX_MESSAGE, 0);
    if (length == -1) die("recv");
    if (length == 0 || !(reply[0] & 0x80)) {
        fprintf(stderr, "the server answered with an error\n");
        return 1;
    }
    reply[length] = '\0';
    uint32_t number;
    memcpy(&number, reply + 1, 4);
    if (format == 's')
        printf("Result: %s\n", reply + 1);
    else
        printf("Result: %u\n", ntohl(number));
    return 0;
}

static void serve(int sock) {
    for (;;) {
        uint8_t message[MAX_MESSAGE];
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        ssize_t length = recvfrom(sock, message, sizeof message, 0, (struct sockaddr *)&peer, &size);
        if (length == -1) die("recvfrom");
        int opcode = message[0] >> 1 & 7;
        uint32_t number = opcode;
        for (ssize_t i = 1; i + 4 <= length; i += 4) {
            uint32_t operand;
            memcpy(&operand, message + i, 4);
            number = opcode == 0 ? number + ntohl(operand) : number * ntohl(operand);
        }
        char reply[MAX_MESSAGE];
        size_t octets = 1;
        reply[0] = opcode > 1 ? 0 : (char)0x80;
        if (opcode <= 1 && message[0] & 1) {
            octets += sprintf(reply + 1, "%u", number);
        } else if (opcode <= 1) {
            number = htonl(number);
            memcpy(reply + 1, &number, 4);
            octets += 4;
        }
        if (sendto(sock, reply, octets, 0, (struct sockaddr *)&peer, size) == -1) die("sendto");
    }
}

// 3-calculator server ADDRESS PORT | 3-calculator +|* d|s ADDRESS PORT OPERAND...
int main(int argc, char **argv) {
    int server = argc > 1 && strcmp(argv[1], "server") == 0;
    int at = server ? 2 : 3;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (argc < at + 2 || argc > at + 2 + 64 || inet_pton(AF_INET6, argv[at], &address.sin6_addr) != 1) return 2;
    address.sin6_port = htons(atoi(argv[at + 1]));
    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    int failed = 0;
    if (server) {
        socklen_t size = sizeof address;
        if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
        if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
        fprintf(stderr, "listening on [::1]:%u\n", ntohs(address.sin6_port));
        serve(sock);
    } else {
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        failed = ask(sock, argv[1][0], argv[2][0], argc - 5, argv + 5);
    }
    close(sock);
    return failed;
}
