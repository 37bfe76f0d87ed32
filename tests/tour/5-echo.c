// Chapter 5 in C: one echo service, five ways. The same client serves all of them.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKLOG 1024
#define THREADS 8
#define QUEUE 16

static int quiet;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s [-q] iterative|processes|threads|pool|events IPV6-ADDRESS PORT\n", program);
    fprintf(stderr, "       %s client IPV6-ADDRESS PORT\n", program);
    return 2;
}

// 0, or -1 with errno. With MSG_NOSIGNAL a client that has gone is an error (EPIPE), not a signal that ends us.
static int put(int sock, const char *octets, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t step = send(sock, octets + done, count - done, MSG_NOSIGNAL);
        if (step == -1 && errno == EINTR) continue;
        if (step == -1) return -1;
        done += step;
    }
    return 0;
}

static void print_received(ssize_t count) {
    if (quiet) return;
    printf("server received %zd bytes\n", count);
    fflush(stdout);
}

// Used by four of the five ways: sends back everything, until the client has closed its direction; then closes ours.
static void echo(int client) {
    char buffer[4096];
    for (;;) {
        ssize_t count = read(client, buffer, sizeof buffer);
        if (count == -1 && errno == EINTR) continue;
        if (count == 0) break;
        if (count > 0) print_received(count);
        // An error of one client is not an error of the server.
        if (count == -1 || put(client, buffer, count) == -1) {
            perror("client");
            break;
        }
    }
    close(client);
}

// The next client, or -1: nobody waits (only if `listener` is non-blocking), or an error that has been printed.
static int accept_one(int listener) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    int client = accept(listener, (struct sockaddr *)&peer, &size);
    if (client == -1 && errno != EAGAIN && errno != EINTR) {
        perror("accept");
        usleep(50000);  // avoids a busy loop when, for example, no descriptor is free
    }
    if (client == -1) return -1;
    // NI_NUMERICHOST: a question to DNS could take seconds, in which this server does nothing else.
    getnameinfo((struct sockaddr *)&peer, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (!quiet) printf("Connected to (%s, %s)\n", host, port);
    fflush(stdout);
    return client;
}

static int next_client(int listener) {
    int client;
    while ((client = accept_one(listener)) == -1) continue;
    return client;
}

static void iterative(int listener) {
    for (;;) echo(next_client(listener));
}

// A process for each client.

static void reap(int signal) {
    int saved = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    errno = saved;
}

static void processes(int listener) {
    struct sigaction action = {.sa_handler = reap, .sa_flags = SA_RESTART};
    if (sigaction(SIGCHLD, &action, NULL) == -1) die("sigaction");
    for (;;) {
        int client = next_client(listener);
        pid_t child = fork();
        if (child == -1) perror("fork");
        if (child == 0) {
            close(listener);
            echo(client);
            _exit(0);
        }
        close(client);
    }
}

// A thread for each client.

static void *serve_one(void *argument) {
    echo((int)(intptr_t)argument);
    return NULL;
}

static void threads(int listener) {
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    // Nobody joins these threads: without this each would leave its stack behind.
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        // The descriptor itself is the argument. &client would be a variable that the next accept overwrites.
        int client = next_client(listener);
        pthread_t thread;
        int error = pthread_create(&thread, &detached, serve_one, (void *)(intptr_t)client);
        if (error) {
            fprintf(stderr, "pthread_create: %s\n", strerror(error));
            close(client);
        }
    }
}

// Threads started in advance, and a bounded queue: a ring, a mutex and two conditions.

static struct {
    int clients[QUEUE], first, count;
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .not_empty = PTHREAD_COND_INITIALIZER, .not_full = PTHREAD_COND_INITIALIZER};

static void *work(void *argument) {
    (void)argument;
    for (;;) {
        pthread_mutex_lock(&queue.lock);
        // `while`, not `if`: a wait may end although nothing happened (pthread_cond_wait(3)).
        while (queue.count == 0) pthread_cond_wait(&queue.not_empty, &queue.lock);
        int client = queue.clients[queue.first];
        queue.first = (queue.first + 1) % QUEUE;
        queue.count--;
        pthread_cond_signal(&queue.not_full);
        pthread_mutex_unlock(&queue.lock);
        echo(client);
    }
    return NULL;
}

static void pool(int listener) {
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        int error = pthread_create(&thread, NULL, work, NULL);
        if (error) {
            fprintf(stderr, "pthread_create: %s\n", strerror(error));
            exit(1);
        }
    }
    for (;;) {
        int client = next_client(listener);
        pthread_mutex_lock(&queue.lock);
        while (queue.count == QUEUE) pthread_cond_wait(&queue.not_full, &queue.lock);
        queue.clients[(queue.first + queue.count++) % QUEUE] = client;
        pthread_cond_signal(&queue.not_empty);
        pthread_mutex_unlock(&queue.lock);
    }
}

// One thread, and epoll(7) says which sockets are ready.

struct client {
    int sock;
    size_t filled, written;
    char buffer[4096];
};

static int non_blocking(int sock) { return fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) | O_NONBLOCK); }

// Reads and writes until the kernel says EAGAIN: 1 to wait for the next event, 0 when the client has gone.
static int advance(struct client *client) {
    for (;;) {
        ssize_t count;
        if (client->written < client->filled) {
            count = send(client->sock, client->buffer + client->written, client->filled - client->written, MSG_NOSIGNAL);
            if (count > 0) client->written += count;
        } else {
            count = read(client->sock, client->buffer, sizeof client->buffer);
            if (count == 0) return 0;
            client->filled = count > 0 ? count : 0;
            client->written = 0;
            if (count > 0) print_received(count);
        }
        if (count == -1 && errno == EAGAIN) return 1;
        if (count == -1 && errno != EINTR) {
            perror("client");
            return 0;
        }
    }
}

static void events(int listener) {
    struct epoll_event ready[256], event = {.events = EPOLLIN};
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (poll == -1) die("epoll_create1");
    if (non_blocking(listener) == -1) die("fcntl");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) == -1) die("epoll_ctl");
    for (;;) {
        int count = epoll_wait(poll, ready, sizeof ready / sizeof ready[0], -1);
        if (count == -1 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct client *client = ready[i].data.ptr;
            if (client) {
                if (!advance(client)) {
                    close(client->sock);  // this also removes it from the epoll set
                    free(client);
                }
                continue;
            }
            int sock = accept_one(listener);
            if (sock == -1) continue;
            client = calloc(1, sizeof *client);
            event = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = client};
            if (!client || non_blocking(sock) == -1 || epoll_ctl(poll, EPOLL_CTL_ADD, sock, &event) == -1) {
                perror("client");
                close(sock);
                free(client);
                continue;
            }
            client->sock = sock;
        }
    }
}

static int talk(int sock) {
    char line[4096], back[4096];
    while (fgets(line, sizeof line, stdin)) {
        size_t length = strlen(line), filled = 0;
        if (put(sock, line, length) == -1) die("send");
        while (filled < length) {
            ssize_t count = read(sock, back + filled, length - filled);
            if (count == -1) die("read");
            if (count == 0) {
                fprintf(stderr, "the server closed the connection\n");
                return 1;
            }
            filled += count;
        }
        fwrite(back, 1, length, stdout);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *program = argv[0];
    if (argc > 1 && strcmp(argv[1], "-q") == 0) quiet = 1, argc--, argv++;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    char *end;
    long port = argc == 4 ? strtol(argv[3], &end, 10) : -1;
    if (port < 0 || port > 65535 || end == argv[3] || *end || inet_pton(AF_INET6, argv[2], &address.sin6_addr) != 1)
        return usage(program);
    address.sin6_port = htons(port);
    const struct { const char *name; void (*serve)(int); } ways[] = {
        {"iterative", iterative}, {"processes", processes}, {"threads", threads}, {"pool", pool}, {"events", events},
        {"client", NULL}};
    size_t way = 0, known = sizeof ways / sizeof ways[0];
    while (way < known && strcmp(ways[way].name, argv[1])) way++;
    if (way == known) return usage(program);

    int sock = socket(AF_INET6, SOCK_STREAM, 0), on = 1;
    if (sock == -1) die("socket");
    if (!ways[way].serve) {
        if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
        return talk(sock);
    }
    // Binds although connections of an earlier server are still in TIME-WAIT.
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1) die("setsockopt");
    socklen_t size = sizeof address;
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (listen(sock, BACKLOG) == -1) die("listen");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    fprintf(stderr, "listening on [%s]:%u\n", argv[2], ntohs(address.sin6_port));
    ways[way].serve(sock);
}
