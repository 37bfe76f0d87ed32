// Chapter 4 as a C programmer writes it: one message each way, and the caller.
// 4-messages listen|host HOST PORT | say|call HOST PORT TEXT
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void put(int sock, const char *text) {
    for (size_t done = 0; done < strlen(text);) {
        ssize_t count = write(sock, text + done, strlen(text) - done);
        if (count == -1) die("write");
        done += count;
    }
}

// Reads until the stream ends or, where `lines` is not 0, until that many lines are complete.
static void take(int sock, char *buffer, size_t size, int lines) {
    size_t filled = 0;
    for (int seen = 0; filled < size - 1 && (lines == 0 || seen < lines);) {
        ssize_t count = read(sock, buffer + filled, lines ? 1 : size - 1 - filled);
        if (count == -1) die("read");
        if (count == 0) break;
        if (lines && buffer[filled] == '\n') seen++;
        filled += count;
    }
    buffer[filled] = '\0';
}

static void take_message(int client) {
    char message[256];
    take(client, message, sizeof message, 0);
    printf("Here is the message: %s\n", message);
    fflush(stdout);
    put(client, "I got your message");
}

static void take_call(int client, const struct sockaddr_in6 *peer) {
    char message[256], text[INET6_ADDRSTRLEN], answer[512];
    take(client, message, sizeof message, 2);
    time_t seconds = strtoll(message, NULL, 10);
    const char *greeting = strchr(message, '\n');
    inet_ntop(AF_INET6, &peer->sin6_addr, text, sizeof text);
    printf("[%s]:%u says: %s", text, ntohs(peer->sin6_port), greeting ? greeting + 1 : "\n");
    fflush(stdout);
    struct tm when;
    gmtime_r(&seconds, &when);
    snprintf(answer, sizeof answer, "You are [%s]:%u\nYou called at %02d:%02d:%02d UTC\nBye\n", text,
             ntohs(peer->sin6_port), when.tm_hour, when.tm_min, when.tm_sec);
    put(client, answer);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int server = argc == 4;
    struct addrinfo hints = {.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int error = getaddrinfo(argv[2], argv[3], &hints, &found);
    if (error) {
        fprintf(stderr, "%s: %s\n", argv[2], gai_strerror(error));
        return 1;
    }
    int sock = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (sock == -1) die("socket");
    if (server) {
        struct sockaddr_in6 address;
        socklen_t size = sizeof address;
        if (bind(sock, found->ai_addr, found->ai_addrlen) == -1) die("bind");
        if (listen(sock, 16) == -1) die("listen");
        if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
        fprintf(stderr, "listening on [::1]:%u\n", ntohs(address.sin6_port));
        for (;;) {
            size = sizeof address;
            int client = accept(sock, (struct sockaddr *)&address, &size);
            if (client == -1) die("accept");
            if (strcmp(argv[1], "host") == 0)
                take_call(client, &address);
            else
                take_message(client);
            close(client);
        }
    }
    char text[1024];
    if (connect(sock, found->ai_addr, found->ai_addrlen) == -1) die("connect");
    if (strcmp(argv[1], "call") == 0) {
        snprintf(text, sizeof text, "%lld\n%s\n", (long long)time(NULL), argv[4]);
        put(sock, text);
        take(sock, text, sizeof text, 0);
        printf("%s", text);
    } else {
        put(sock, argv[4]);
        if (shutdown(sock, SHUT_WR) == -1) die("shutdown");
        take(sock, text, sizeof text, 0);
        printf("%s\n", text);
    }
    freeaddrinfo(found);
    close(sock);
    return 0;
}
