// Chapter 4 as a C programmer writes it: frames of a 32-bit length and as many octets.
// 4-commands server|client|dribble HOST PORT; "dribble" sends its frames one octet at a time.
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FRAME 65536

static void die(const char *what) {
    perror(what);
    exit(1);
}

// All of `count` octets, or 0 where the peer closed before the first.
static int read_all(int sock, void *buffer, size_t count) {
    size_t filled = 0;
    while (filled < count) {
        ssize_t got = read(sock, (char *)buffer + filled, count - filled);
        if (got == -1 && errno == EINTR) continue;
        if (got == -1) die("read");
        if (got == 0 && filled == 0) return 0;
        if (got == 0) {
            fprintf(stderr, "the stream ended within a frame\n");
            exit(1);
        }
        filled += got;
    }
    return 1;
}

static void write_all(int sock, const void *buffer, size_t count, size_t at_once) {
    for (size_t done = 0; done < count;) {
        size_t step = count - done < at_once ? count - done : at_once;
        ssize_t put = write(sock, (const char *)buffer + done, step);
        if (put == -1 && errno == EINTR) continue;
        if (put == -1) die("write");
        done += put;
    }
}

static void write_frame(int sock, const char *text, size_t at_once) {
    uint32_t length = htonl(strlen(text));
    write_all(sock, &length, sizeof length, at_once);
    write_all(sock, text, strlen(text), at_once);
}

// The frame's text in `text` (MAX_FRAME + 1 octets), or 0 at the end of the stream.
static int read_frame(int sock, char *text) {
    uint32_t length;
    if (!read_all(sock, &length, sizeof length)) return 0;
    length = ntohl(length);
    if (length > MAX_FRAME) {
        fprintf(stderr, "a frame of %u octets\n", length);
        exit(1);
    }
    if (length && !read_all(sock, text, length)) exit(1);
    text[length] = '\0';
    return 1;
}

static char text[MAX_FRAME + 1];

static int converse(int sock) {
    while (read_frame(sock, text)) {
        if (strcmp(text, "help") == 0) {
            write_frame(sock, "commands: help, stop; quit ends the client", MAX_FRAME);
        } else if (strcmp(text, "stop") == 0) {
            write_frame(sock, "the server stops", MAX_FRAME);
            return 1;
        } else {
            write_frame(sock, "invalid command", MAX_FRAME);
        }
    }
    return 0;
}

static void talk(int sock, size_t at_once) {
    char line[1024];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "quit") == 0) return;
        write_frame(sock, line, at_once);
        if (!read_frame(sock, text)) exit(1);
        printf("%s\n", text);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int server = strcmp(argv[1], "server") == 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0};
    struct addrinfo *found;
    int error = getaddrinfo(argv[2], argv[3], &hints, &found);
    if (error) {
        fprintf(stderr, "%s: %s\n", argv[2], gai_strerror(error));
        return 1;
    }
    int sock = -1;
    for (struct addrinfo *one = found; one && sock == -1; one = one->ai_next) {
        int candidate = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (candidate == -1) continue;
        if ((server ? bind : connect)(candidate, one->ai_addr, one->ai_addrlen) == 0)
            sock = candidate;
        else
            close(candidate);
    }
    freeaddrinfo(found);
    if (sock == -1) die(server ? "bind" : "connect");
    if (server) {
        struct sockaddr_in6 local;
        socklen_t size = sizeof local;
        if (listen(sock, 16) == -1) die("listen");
        if (getsockname(sock, (struct sockaddr *)&local, &size) == -1) die("getsockname");
        fprintf(stderr, "listening on [::1]:%u\n", ntohs(local.sin6_port));
        for (int stop = 0; !stop;) {
            int client = accept(sock, NULL, NULL);
            if (client == -1) die("accept");
            stop = converse(client);
            close(client);
        }
    } else {
        int on = 1;
        size_t at_once = strcmp(argv[1], "dribble") == 0 ? 1 : MAX_FRAME;
        if (setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == -1) die("setsockopt");
        talk(sock, at_once);
    }
    close(sock);
    return 0;
}
