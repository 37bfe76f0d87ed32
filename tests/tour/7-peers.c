// Chapter 7 in C, as simple as possible: one client at a time, one chunk after the other, no hashes, all on ::1.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_PEERS 16

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s tracker PORT\n", program);
    fprintf(stderr, "       %s serve|fetch TRACKER-PORT ID FILE SIZE CHUNK-SIZE\n", program);
    return 2;
}

static struct sockaddr_in6 loopback(int port) {
    return (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(port)};
}

// A silent peer is given up after 10 s, so that it cannot stop us for ever.
static void limit(int sock) {
    struct timeval seconds = {.tv_sec = 10};
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &seconds, sizeof seconds);
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &seconds, sizeof seconds);
}

// A connection as two streams: a FILE that cannot seek must not change between reading and writing.
struct peer {
    FILE *in, *out;
};

static struct peer open_peer(int sock) {
    limit(sock);
    return (struct peer){fdopen(sock, "r"), fdopen(dup(sock), "w")};
}

static void close_peer(struct peer peer) {
    fclose(peer.out);
    fclose(peer.in);
}

// 1, or 0 with errno if nobody answers at that port.
static int call(int port, struct peer *peer) {
    struct sockaddr_in6 address = loopback(port);
    int sock = socket(AF_INET6, SOCK_STREAM, 0);
    if (sock == -1) die("socket");
    limit(sock);
    if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) {
        int saved = errno;
        close(sock);
        errno = saved;
        return 0;
    }
    *peer = open_peer(sock);
    return 1;
}

static int listener(int *port) {
    struct sockaddr_in6 address = loopback(*port);
    socklen_t size = sizeof address;
    int sock = socket(AF_INET6, SOCK_STREAM, 0), on = 1;
    if (sock == -1) die("socket");
    // Binds although connections of an earlier server are still in TIME-WAIT.
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1) die("setsockopt");
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (listen(sock, 16) == -1) die("listen");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    *port = ntohs(address.sin6_port);
    return sock;
}

static struct peer next_client(int sock) {
    int client;
    while ((client = accept(sock, NULL, NULL)) == -1) {
        perror("accept");
        usleep(50000);  // avoids a busy loop when, for example, no descriptor is free
    }
    return open_peer(client);
}

// 1 for a whole line; 0 for the end of the stream, half a line, or an error.
static int get_line(struct peer peer, char *line, int size) {
    return fgets(line, size, peer.in) && strchr(line, '\n');
}

static struct { char id[65]; int port; } peers[MAX_PEERS];
static int peer_count;

// Notes a peer; 0 if there is no room.
static int enrol(const char *id, int port) {
    for (int i = 0; i < peer_count; i++)
        if (peers[i].port == port && strcmp(peers[i].id, id) == 0) return 1;
    if (peer_count == MAX_PEERS) return 0;
    strcpy(peers[peer_count].id, id);
    peers[peer_count++].port = port;
    return 1;
}

static void tracker(int port) {
    int sock = listener(&port);
    fprintf(stderr, "listening on [::1]:%d\n", port);
    for (;;) {
        struct peer client = next_client(sock);
        char line[160], word[9], id[65];
        int peer = 0;
        if (!get_line(client, line, sizeof line)) line[0] = '\0';
        int words = sscanf(line, "%8s %64s %d", word, id, &peer);
        int valid = words >= 2 && strlen(id) == 64 && peer >= 0 && peer <= 65535;
        if (words == 3 && valid && strcmp(word, "register") == 0 && enrol(id, peer)) {
            fprintf(client.out, "registered [::1]:%d\n", peer);
        } else if (valid && strcmp(word, "list") == 0 && (words == 2 || enrol(id, peer))) {
            for (int i = 0; i < peer_count; i++)
                if (strcmp(peers[i].id, id) == 0) fprintf(client.out, "[::1]:%d\n", peers[i].port);
        } else {
            fprintf(client.out, "error\n");
        }
        close_peer(client);
    }
}

static void serve(int tracker_port, const char *id, const char *path, long size, long chunk_size) {
    int port = 0, sock = listener(&port);
    char line[160], have[80];
    struct peer list;
    if (!call(tracker_port, &list)) die("tracker");
    fprintf(list.out, "register %s %d\n", id, port);
    fflush(list.out);
    if (!get_line(list, line, sizeof line) || strncmp(line, "registered ", 11) != 0) {
        fprintf(stderr, "the tracker did not register us\n");
        exit(1);
    }
    close_peer(list);
    fprintf(stderr, "listening on [::1]:%d\n", port);
    snprintf(have, sizeof have, "have %s\n", id);
    char *chunk = malloc(chunk_size);
    if (!chunk) die("malloc");
    for (;;) {
        struct peer client = next_client(sock);
        FILE *file = fopen(path, "r");
        if (!file) die(path);
        while (get_line(client, line, sizeof line)) {
            long index, length = 0;
            char name[65];
            if (sscanf(line, "get %64s %ld", name, &index) == 2 && strcmp(name, id) == 0 && index >= 0 &&
                index < (size + chunk_size - 1) / chunk_size)
                length = size - index * chunk_size < chunk_size ? size - index * chunk_size : chunk_size;
            if (strcmp(line, have) == 0) {
                fprintf(client.out, "have ");
                for (long at = 0; at < size; at += chunk_size) fputc('1', client.out);
                fprintf(client.out, "\n");
            } else if (length && fseek(file, index * chunk_size, SEEK_SET) == 0 &&
                       fread(chunk, 1, length, file) == (size_t)length) {
                fprintf(client.out, "chunk %ld\n", length);
                fwrite(chunk, 1, length, client.out);
            } else {
                fprintf(client.out, "error\n");
            }
            if (fflush(client.out) == EOF) break;  // the client has gone
        }
        close_peer(client);
        fclose(file);
    }
}

// Asks one peer for everything that is still missing; how many chunks came.
static long fetch_from(struct peer peer, const char *id, FILE *file, char *here, long size, long chunk_size) {
    long chunks = (size + chunk_size - 1) / chunk_size, came = 0;
    char line[160], *have = calloc(chunks + 16, 1), *chunk = malloc(chunk_size);
    if (!have || !chunk) die("malloc");
    fprintf(peer.out, "have %s\n", id);
    fflush(peer.out);
    int willing = get_line(peer, have, chunks + 16) && strncmp(have, "have ", 5) == 0;
    for (long index = 0; willing && index < chunks; index++) {
        long length, wanted = size - index * chunk_size < chunk_size ? size - index * chunk_size : chunk_size;
        if (here[index] || have[5 + index] != '1') continue;
        fprintf(peer.out, "get %s %ld\n", id, index);
        fflush(peer.out);
        willing = get_line(peer, line, sizeof line) && sscanf(line, "chunk %ld", &length) == 1 && length == wanted &&
                  fread(chunk, 1, length, peer.in) == (size_t)length;
        if (!willing) break;
        fseek(file, index * chunk_size, SEEK_SET);
        if (fwrite(chunk, 1, length, file) != (size_t)length) die("fwrite");
        here[index] = 1;
        came++;
    }
    free(have);
    free(chunk);
    return came;
}

// Goes from peer to peer and takes from each what is still missing.
static int fetch(int tracker_port, const char *id, const char *path, long size, long chunk_size) {
    long chunks = (size + chunk_size - 1) / chunk_size, missing = chunks;
    char line[160], *here = calloc(chunks + 1, 1);
    FILE *file = fopen(path, "w");
    struct peer list, peer;
    if (!here) die("calloc");
    if (!file) die(path);
    if (!call(tracker_port, &list)) die("tracker");
    fprintf(list.out, "list %s\n", id);
    fflush(list.out);
    while (missing && get_line(list, line, sizeof line)) {
        int port;
        if (sscanf(line, "[::1]:%d", &port) != 1) continue;
        if (!call(port, &peer)) {
            // A peer that has ended stays in the list for a while: the others may have what we need.
            fprintf(stderr, "[::1]:%d: %s\n", port, strerror(errno));
            continue;
        }
        missing -= fetch_from(peer, id, file, here, size, chunk_size);
        close_peer(peer);
    }
    close_peer(list);
    if (fclose(file) == EOF) die(path);
    free(here);
    if (missing) {
        fprintf(stderr, "%ld of %ld chunks were not found\n", missing, chunks);
        return 1;
    }
    printf("complete\n");
    return 0;
}

// 0 to `max`, and nothing else; -1 otherwise.
static long number(const char *text, long max) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return end == text || *end || errno || value < 0 || value > max ? -1 : value;
}

int main(int argc, char **argv) {
    long port = argc > 2 ? number(argv[2], 65535) : -1;
    // Writing to a peer that has gone shall be an error (EPIPE), not a signal that ends us.
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "tracker") == 0 && port >= 0) tracker(port);
    int serves = argc == 7 && strcmp(argv[1], "serve") == 0;
    if (argc != 7 || (!serves && strcmp(argv[1], "fetch")) || port < 0 || strlen(argv[3]) != 64) return usage(argv[0]);
    long size = number(argv[5], 1L << 40), chunk_size = number(argv[6], 1L << 20);
    if (size < 0 || chunk_size < 1) return usage(argv[0]);
    if (serves) serve(port, argv[3], argv[4], size, chunk_size);
    return fetch(port, argv[3], argv[4], size, chunk_size);
}
