// Chapter 7 as a C programmer writes it: one client at a time, one chunk after the other, no hashes.
// tracker PORT | serve TRACKER-PORT ID FILE SIZE CHUNK-SIZE | fetch TRACKER-PORT ID FILE SIZE CHUNK-SIZE, all on ::1
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PEERS 16

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int stream(void) {
    int sock = socket(AF_INET6, SOCK_STREAM, 0);
    if (sock == -1) die("socket");
    return sock;
}

static struct sockaddr_in6 loopback(int port) {
    return (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(port)};
}

// A connection as two streams: one FILE cannot change between reading and writing where it cannot seek.
struct peer {
    FILE *in, *out;
};

static struct peer open_peer(int sock) { return (struct peer){fdopen(sock, "r"), fdopen(dup(sock), "w")}; }

static void close_peer(struct peer peer) {
    fclose(peer.out);
    fclose(peer.in);
}

static struct peer call(int port) {
    struct sockaddr_in6 address = loopback(port);
    int sock = stream();
    if (connect(sock, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
    return open_peer(sock);
}

static int listener(int *port) {
    struct sockaddr_in6 address = loopback(*port);
    socklen_t size = sizeof address;
    int sock = stream();
    if (bind(sock, (struct sockaddr *)&address, sizeof address) == -1) die("bind");
    if (listen(sock, 16) == -1) die("listen");
    if (getsockname(sock, (struct sockaddr *)&address, &size) == -1) die("getsockname");
    *port = ntohs(address.sin6_port);
    return sock;
}

static struct peer next_client(int sock) {
    int client = accept(sock, NULL, NULL);
    if (client == -1) die("accept");
    return open_peer(client);
}

static void tracker(int port) {
    static struct { char id[65]; int port; } peers[MAX_PEERS];
    int count = 0, sock = listener(&port);
    fprintf(stderr, "listening on [::1]:%d\n", port);
    for (;;) {
        struct peer client = next_client(sock);
        char line[160], id[65];
        int peer;
        if (!fgets(line, sizeof line, client.in)) line[0] = '\0';
        if (sscanf(line, "register %64s %d", id, &peer) == 2) {
            int known = 0;
            for (int i = 0; i < count; i++) known |= peers[i].port == peer && strcmp(peers[i].id, id) == 0;
            if (!known && count < MAX_PEERS) {
                strcpy(peers[count].id, id);
                peers[count++].port = peer;
            }
            fprintf(client.out, "registered [::1]:%d\n", peer);
        } else if (sscanf(line, "list %64s", id) == 1) {
            for (int i = 0; i < count; i++)
                if (strcmp(peers[i].id, id) == 0) fprintf(client.out, "[::1]:%d\n", peers[i].port);
        }
        close_peer(client);
    }
}

static void serve(int tracker_port, const char *id, const char *path, long size, long chunk_size) {
    int port = 0, sock = listener(&port);
    char line[160];
    struct peer list = call(tracker_port);
    fprintf(list.out, "register %s %d\n", id, port);
    fflush(list.out);
    if (!fgets(line, sizeof line, list.in) || strncmp(line, "registered ", 11) != 0) exit(1);
    close_peer(list);
    fprintf(stderr, "listening on [::1]:%d\n", port);
    char *chunk = malloc(chunk_size);
    for (;;) {
        struct peer client = next_client(sock);
        FILE *file = fopen(path, "r");
        if (!file) die(path);
        while (fgets(line, sizeof line, client.in)) {
            long index;
                if (strncmp(line, "have ", 5) == 0) {
                fprintf(client.out, "have ");
                for (long at = 0; at < size; at += chunk_size) fputc('1', client.out);
                fprintf(client.out, "\n");
            } else if (sscanf(line, "get %*64s %ld", &index) == 1 && index * chunk_size < size) {
                long length = size - index * chunk_size < chunk_size ? size - index * chunk_size : chunk_size;
                fseek(file, index * chunk_size, SEEK_SET);
                if (fread(chunk, 1, length, file) != (size_t)length) die("fread");
                fprintf(client.out, "chunk %ld\n", length);
                fwrite(chunk, 1, length, client.out);
            }
            fflush(client.out);
            }
        close_peer(client);
        fclose(file);
    }
}

// Goes from peer to peer and takes of each what is still missing.
static void fetch(int tracker_port, const char *id, const char *path, long size, long chunk_size) {
    long chunks = (size + chunk_size - 1) / chunk_size, missing = chunks;
    char line[160], *have = malloc(chunks + 16), *here = calloc(chunks, 1), *chunk = malloc(chunk_size);
    FILE *file = fopen(path, "w");
    if (!file) die(path);
    struct peer list = call(tracker_port);
    fprintf(list.out, "list %s\n", id);
    fflush(list.out);
    while (missing && fgets(line, sizeof line, list.in)) {
        int port;
        if (sscanf(line, "[::1]:%d", &port) != 1) continue;
        struct peer peer = call(port);
        fprintf(peer.out, "have %s\n", id);
        fflush(peer.out);
        int willing = fgets(have, chunks + 16, peer.in) && strncmp(have, "have ", 5) == 0;
        for (long index = 0; willing && index < chunks; index++) {
            long length;
            if (here[index] || have[5 + index] != '1') continue;
            fprintf(peer.out, "get %s %ld\n", id, index);
            fflush(peer.out);
            willing = fgets(line, sizeof line, peer.in) && sscanf(line, "chunk %ld", &length) == 1 &&
                      length <= chunk_size && fread(chunk, 1, length, peer.in) == (size_t)length;
            if (!willing) break;
            fseek(file, index * chunk_size, SEEK_SET);
            fwrite(chunk, 1, length, file);
            here[index] = 1;
            missing--;
        }
        close_peer(peer);
    }
    fclose(file);
    if (missing) exit(1);
    printf("complete\n");
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "tracker") == 0) tracker(atoi(argv[2]));
    if (argc != 7) return 2;
    (strcmp(argv[1], "serve") == 0 ? serve : fetch)(atoi(argv[2]), argv[3], argv[4], atol(argv[5]), atol(argv[6]));
    return 0;
}
