// Chapter 2 as a C programmer writes it. "ask-unswapped" and "unswapped-server" forget htonl and ntohl.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_INTEGERS 256

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint32_t same(uint32_t value) { return value; }

static void ask(int sock, int count, char **words, int text, uint32_t (*order)(uint32_t)) {
    uint32_t message[MAX_INTEGERS];
    for (int i = 0; i < count; i++) message[i] = order(strtoul(words[i], NULL, 10));
    if (send(sock, message, count * sizeof(uint32_t), 0) == -1) die("send");
    char reply[1024];
    ssize_t length = recv(sock, reply, sizeof reply - 1, 0);
    if (length == -1) die("recv");
    reply[length] = '\0';
    uint32_t sum;
    memcpy(&sum, reply, sizeof sum);
    if (text)
        printf("sum      %s\n", reply);
    else
        printf("sum      %u\n", order(sum));
}

static void serve(int sock, int text, uint32_t (*order)(uint32_t)) {
    for (;;) {
        uint32_t message[MAX_INTEGERS];
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        ssize_t length = recvfrom(sock, message, sizeof message, 0, (struct sockaddr *)&peer, &size);
        if (length == -1) die("recvfrom");
        uint32_t sum = 0;
        for (size_t i = 0; i < length / sizeof(uint32_t); i++) sum += order(message[i]);
        char digits[16];
        // With the terminating NUL, as careless servers send it.
        size_t octets = text ? (size_t)sprintf(digits, "%u", sum) + 1 : sizeof sum;
        uint32_t swapped = order(sum);
        if (sendto(sock, text ? (void *)digits : &swapped, octets, 0, (struct sockaddr *)&peer, size) == -1)
            die("sendto");
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (argc < 4 || argc > 4 + MAX_INTEGERS || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1) return 2;
    address.sin6_port = htons(atoi(argv[3]));
    const char *mode = argv[1];
    int text = strstr(mode, "text") != NULL;
    uint32_t (*order)(uint32_t) = strstr(mode, "unswapped") ? same : htonl;
    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    if (strncmp(mode, "ask", 3) == 0) {
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        ask(sock, argc - 4, argv + 4, text, order);
    } else {
        socklen_t size = sizeof address;
        if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
        if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
        fprintf(stderr, "listening on [::1]:%u\n", ntohs(address.sin6_port));
        serve(sock, text, order);
    }
    close(sock);
    return 0;
}
