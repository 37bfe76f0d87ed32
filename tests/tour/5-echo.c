// Chapter 5 as a C programmer writes it: 5-echo iterative|fork|client ADDRESS PORT
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void put(int sock, const char *octets, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t step = write(sock, octets + done, count - done);
        if (step == -1) die("write");
        done += step;
    }
}

static void echo(int client) {
    char buffer[4096];
    ssize_t count;
    while ((count = read(client, buffer, sizeof buffer)) > 0) put(client, buffer, count);
    if (count == -1) die("read");
}

static void reap(int signal) {
    int saved = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    errno = saved;
}

static void serve(int sock, int forking) {
    struct sigaction action = {.sa_handler = reap, .sa_flags = SA_RESTART};
    if (forking && sigaction(SIGCHLD, &action, NULL) == -1) die("sigaction");
    for (;;) {
        int client = accept(sock, NULL, NULL);
        if (client == -1) die("accept");
        pid_t child = forking ? fork() : 0;
        if (child == -1) die("fork");
        if (child == 0) {
            if (forking) close(sock);
            echo(client);
            if (forking) exit(0);
        }
        close(client);
    }
}

static void talk(int sock) {
    char line[4096], back[4096];
    while (fgets(line, sizeof line, stdin)) {
        size_t length = strlen(line), filled = 0;
        put(sock, line, length);
        while (filled < length) {
            ssize_t count = read(sock, back + filled, length - filled);
            if (count <= 0) die("read");
            filled += count;
        }
        fwrite(back, 1, length, stdout);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (argc != 4 || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1) return 2;
    address.sin6_port = htons(atoi(argv[3]));
    int sock = socket(AF_INET6, SOCK_STREAM, 0);
    if (sock == -1) die("socket");
    if (strcmp(argv[1], "client") == 0) {
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        talk(sock);
        return 0;
    }
    socklen_t size = sizeof address;
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (listen(sock, 128) == -1) die("listen");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    fprintf(stderr, "listening on [::1]:%u\n", ntohs(address.sin6_port));
    serve(sock, strcmp(argv[1], "fork") == 0);
}
