// Chapter 1 in C: the same modes and the same output as the Rust program.
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_MESSAGE_SIZE 2500

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s send|receive|receive-from|connected|answer IPV6-ADDRESS PORT\n", program);
    fprintf(stderr, "       %s send-unix|receive-unix PATH\n", program);
    return 2;
}

static void print_octets(const unsigned char *octets, ssize_t length) {
    printf("received %zd octets:\n", length);
    for (ssize_t i = 0; i < length; i++)
        printf("%s0x%02x ('%c')", i ? " " : "", octets[i], isprint(octets[i]) ? octets[i] : '.');
    printf("\n");
}

static void print_address(FILE *out, const char *before, const struct sockaddr_in6 *address, const char *after) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text);
    fprintf(out, "%s[%s]:%u%s", before, text, ntohs(address->sin6_port), after);
}

// 0 to 65535, and nothing else: atoi would read "8o" as 8.
static int parse_port(const char *text, in_port_t *port) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < 0 || value > 65535) return 0;
    *port = htons(value);
    return 1;
}

static void send_hello(int sock, const struct sockaddr_in6 *peer) {
    ssize_t sent = sendto(sock, "hello", strlen("hello"), 0, (const struct sockaddr *)peer, sizeof *peer);
    if (sent == -1) die("sendto");
    printf("sent %zd octets to ", sent);
    print_address(stdout, "", peer, "\n");
}

static void connected(int sock, const struct sockaddr_in6 *peer) {
    struct sockaddr_in6 local;
    socklen_t size = sizeof local;
    struct timeval limit = {.tv_sec = 5};
    unsigned char buffer[MAX_MESSAGE_SIZE];
    if (connect(sock, (const struct sockaddr *)peer, sizeof *peer) == -1) die("connect");
    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == -1) die("setsockopt");
    ssize_t sent = send(sock, "hello", strlen("hello"), 0);
    if (sent == -1) die("send");
    if (getsockname(sock, (struct sockaddr *)&local, &size) == -1) die("getsockname");
    printf("sent %zd octets from ", sent);
    print_address(stdout, "", &local, " to ");
    print_address(stdout, "", peer, "\n");
    fflush(stdout);
    ssize_t length = recv(sock, buffer, sizeof buffer, 0);
    if (length == -1) die("recv");
    print_octets(buffer, length);
}

static void receive(int sock, struct sockaddr_in6 *local, int show_peer, int answer) {
    struct sockaddr_in6 peer;
    socklen_t size = sizeof *local;
    unsigned char buffer[MAX_MESSAGE_SIZE];
    if (bind(sock, (struct sockaddr *)local, sizeof *local) == -1) die("bind");
    if (getsockname(sock, (struct sockaddr *)local, &size) == -1) die("getsockname");
    print_address(stderr, "listening on ", local, "\n");
    size = sizeof peer;
    ssize_t length = recvfrom(sock, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &size);
    if (length == -1) die("recvfrom");
    print_octets(buffer, length);
    if (show_peer) print_address(stdout, "from ", &peer, "\n");
    if (answer && sendto(sock, "hello yourself", strlen("hello yourself"), 0, (struct sockaddr *)&peer, size) == -1)
        die("sendto");
}

// Datagrams between programs of one machine: the address is a path in the file system.
static void unix_datagram(const char *path, int sending) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned char buffer[MAX_MESSAGE_SIZE];
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "%s: a path of at most %zu octets is possible\n", path, sizeof address.sun_path - 1);
        exit(1);
    }
    strcpy(address.sun_path, path);
    int sock = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    if (sending) {
        ssize_t sent = sendto(sock, "hello", strlen("hello"), 0, (struct sockaddr *)&address, sizeof address);
        if (sent == -1) die("sendto");
        printf("sent %zd octets to %s\n", sent, path);
    } else {
        if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
        fprintf(stderr, "listening on %s\n", path);
        ssize_t length = recv(sock, buffer, sizeof buffer, 0);
        unlink(path);
        if (length == -1) die("recv");
        print_octets(buffer, length);
    }
    close(sock);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc == 3 && (strcmp(mode, "send-unix") == 0 || strcmp(mode, "receive-unix") == 0)) {
        unix_datagram(argv[2], mode[0] == 's');
        return 0;
    }
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (argc != 4 || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1 ||
        !parse_port(argv[3], &address.sin6_port))
        return usage(argv[0]);
    int sock = socket(AF_INET6, SOCK_DGRAM, 0);
    if (sock == -1) die("socket");
    if (strcmp(mode, "send") == 0)
        send_hello(sock, &address);
    else if (strcmp(mode, "connected") == 0)
        connected(sock, &address);
    else if (strcmp(mode, "receive") == 0)
        receive(sock, &address, 0, 0);
    else if (strcmp(mode, "receive-from") == 0)
        receive(sock, &address, 1, 0);
    else if (strcmp(mode, "answer") == 0)
        receive(sock, &address, 1, 1);
    else
        return usage(argv[0]);
    close(sock);
    return 0;
}
