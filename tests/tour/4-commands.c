// Chapter 4 in C: frames of a 32-bit length in network order and that many octets.
// The mode "dribble" is the client, but sends its frames one octet at a time.
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FRAME 65536

static const char HELP[] =
    "server is active.\n"
    "\n"
    "commands:\n"
    "  help  this text\n"
    "  stop  the server closes this connection\n"
    "quit ends the client";

static void die(const char *what) {
    perror(what);
    exit(1);
}

// Reads `count` octets: 1 if all came, 0 if the peer closed before the first, -1 for an error (with errno).
static int read_all(int sock, void *buffer, size_t count) {
    size_t filled = 0;
    while (filled < count) {
        ssize_t got = read(sock, (char *)buffer + filled, count - filled);
        if (got == -1 && errno == EINTR) continue;
        if (got == -1) return -1;
        if (got == 0 && filled == 0) return 0;
        if (got == 0) {
            errno = EPROTO;  // the stream ended within a frame
            return -1;
        }
        filled += got;
    }
    return 1;
}

// 0, or -1 with errno. With MSG_NOSIGNAL a peer that has gone is an error (EPIPE), not a signal that ends us.
static int write_all(int sock, const void *buffer, size_t count, size_t at_once) {
    for (size_t done = 0; done < count;) {
        size_t step = count - done < at_once ? count - done : at_once;
        ssize_t put = send(sock, (const char *)buffer + done, step, MSG_NOSIGNAL);
        if (put == -1 && errno == EINTR) continue;
        if (put == -1) return -1;
        done += put;
    }
    return 0;
}

// Length and text leave in one call, so that they can travel in one segment.
static int write_frame(int sock, const char *text, size_t at_once) {
    char frame[sizeof(uint32_t) + MAX_FRAME];
    size_t count = strlen(text);
    uint32_t length = htonl(count);
    memcpy(frame, &length, sizeof length);
    memcpy(frame + sizeof length, text, count);
    return write_all(sock, frame, sizeof length + count, at_once);
}

// The frame's text in `text` (MAX_FRAME + 1 octets): 1, 0 at the end of the stream, or -1 with errno.
static int read_frame(int sock, char *text) {
    uint32_t length;
    int got = read_all(sock, &length, sizeof length);
    if (got != 1) return got;
    length = ntohl(length);
    if (length > MAX_FRAME) {
        errno = EMSGSIZE;
        return -1;
    }
    got = length ? read_all(sock, text, length) : 1;
    if (got == 0) errno = EPROTO;
    text[length] = '\0';
    return got == 1 ? 1 : -1;
}

static char text[MAX_FRAME + 1];

// Answers one client until it says stop or closes; 0, or -1 with errno.
static int converse(int sock) {
    int got;
    while ((got = read_frame(sock, text)) == 1) {
        int stop = strcmp(text, "stop") == 0;
        const char *answer = "invalid command (try help).";
        if (strcmp(text, "help") == 0) answer = HELP;
        if (stop) answer = "closing server connection";
        if (write_frame(sock, answer, MAX_FRAME) == -1) return -1;
        if (stop) return 0;
    }
    return got;
}

static void serve(int listener) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (listen(listener, 16) == -1) die("listen");
    if (getsockname(listener, (struct sockaddr *)&peer, &size) == -1) die("getsockname");
    getnameinfo((struct sockaddr *)&peer, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    fprintf(stderr, strchr(host, ':') ? "listening on [%s]:%s\n" : "listening on %s:%s\n", host, port);
    for (;;) {
        size = sizeof peer;
        int client = accept(listener, (struct sockaddr *)&peer, &size);
        if (client == -1) {
            perror("accept");
            usleep(50000);  // avoids a busy loop when, for example, no descriptor is free
            continue;
        }
        getnameinfo((struct sockaddr *)&peer, size, host, sizeof host, NULL, 0, NI_NUMERICHOST);
        printf("Connection received from %s\n", host);
        fflush(stdout);
        // An error of one client is not an error of the server.
        if (converse(client) == -1) perror(host);
        close(client);
    }
}

static void prompt(void) {
    if (isatty(STDIN_FILENO)) printf("Enter command: ");
    fflush(stdout);
}

static void talk(int sock, size_t at_once) {
    char line[1024];
    int on = 1;
    if (setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == -1) die("setsockopt");
    for (prompt(); fgets(line, sizeof line, stdin); prompt()) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "quit") == 0) return;
        if (write_frame(sock, line, at_once) == -1) die("send");
        int got = read_frame(sock, text);
        if (got == -1) die("read");
        if (got == 0) {
            fprintf(stderr, "the server closed the connection\n");
            exit(1);
        }
        printf("%s\n", text);
        fflush(stdout);
        if (strcmp(line, "stop") == 0) return;
    }
}

int main(int argc, char **argv) {
    int server = argc == 4 && strcmp(argv[1], "server") == 0;
    int dribble = argc == 4 && strcmp(argv[1], "dribble") == 0;
    if (argc != 4 || (!server && !dribble && strcmp(argv[1], "client"))) {
        fprintf(stderr, "usage: %s server|client|dribble HOST PORT\n", argv[0]);
        return 2;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0};
    struct addrinfo *found;
    int error = getaddrinfo(argv[2], argv[3], &hints, &found);
    if (error) {
        fprintf(stderr, "%s port %s: %s\n", argv[2], argv[3], gai_strerror(error));
        return 1;
    }
    int sock = -1, on = 1;
    for (struct addrinfo *one = found; one && sock == -1; one = one->ai_next) {
        int candidate = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (candidate == -1) continue;
        // Binds although connections of an earlier server are still in TIME-WAIT.
        if (server) setsockopt(candidate, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if ((server ? bind : connect)(candidate, one->ai_addr, one->ai_addrlen) == 0) {
            sock = candidate;
        } else {
            int saved = errno;
            close(candidate);
            errno = saved;
        }
    }
    freeaddrinfo(found);
    if (sock == -1) die(server ? "bind" : "connect");
    if (server) serve(sock);
    talk(sock, dribble ? 1 : MAX_FRAME);
    close(sock);
    return 0;
}
