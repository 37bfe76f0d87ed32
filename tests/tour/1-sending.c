// Chapter 1 as a C programmer writes it: the same modes, the same output.
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_MESSAGE_SIZE 2500

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void print_octets(const unsigned char *octets, ssize_t length) {
    printf("received %zd octets:\n", length);
    for (ssize_t i = 0; i < length; i++)
        printf("%s0x%02x ('%c')", i ? " " : "", octets[i], isprint(octets[i]) ? octets[i] : '.');
    printf("\n");
}

static void print_address(FILE *out, const char *before, const struct sockaddr_in6 *address) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text);
    fprintf(out, "%s[%s]:%u\n", before, text, ntohs(address->sin6_port));
}

int main(int argc, char **argv) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (argc != 4 || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1) {
        fprintf(stderr, "usage: %s send|receive|receive-from|connected|answer IPV6-ADDRESS PORT\n", argv[0]);
        return 2;
    }
    address.sin6_port = htons(atoi(argv[3]));
    const char *mode = argv[1];
    unsigned char buffer[MAX_MESSAGE_SIZE];
    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");

    if (strcmp(mode, "send") == 0) {
        ssize_t sent = sendto(sock, "hello", strlen("hello"), 0, (struct sockaddr *)&address, sizeof address);
        if (sent == -1) die("sendto");
        printf("sent %zd octets\n", sent);
    } else if (strcmp(mode, "connected") == 0) {
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        if (send(sock, "hello", strlen("hello"), 0) == -1) die("send");
        ssize_t length = recv(sock, buffer, sizeof buffer, 0);
        if (length == -1) die("recv");
        print_octets(buffer, length);
    } else {
        struct sockaddr_in6 peer;
        socklen_t size = sizeof address;
        if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
        if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
        print_address(stderr, "listening on ", &address);
        size = sizeof peer;
        ssize_t length = recvfrom(sock, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &size);
        if (length == -1) die("recvfrom");
        print_octets(buffer, length);
        if (strcmp(mode, "receive") != 0) print_address(stdout, "from ", &peer);
        if (strcmp(mode, "answer") == 0 &&
            sendto(sock, "hello yourself", strlen("hello yourself"), 0, (struct sockaddr *)&peer, size) == -1)
            die("sendto");
    }
    close(sock);
    return 0;
}
