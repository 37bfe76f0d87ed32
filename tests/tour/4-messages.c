// Chapter 4 in C: names and addresses, one message each way, and a host that greets its callers.
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_MESSAGE 255

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s lookup HOST PORT\n", program);
    fprintf(stderr, "       %s name ADDRESS PORT\n", program);
    fprintf(stderr, "       %s listen [--once] HOST PORT\n", program);
    fprintf(stderr, "       %s say HOST PORT [TEXT]\n", program);
    fprintf(stderr, "       %s host [--time-t] HOST PORT\n", program);
    fprintf(stderr, "       %s call HOST PORT TEXT\n", program);
    fprintf(stderr, "       %s call --time-t HOST PORT\n", program);
    return 2;
}

// 0, or -1 with errno. With MSG_NOSIGNAL a peer that has gone is an error (EPIPE), not a signal that ends us.
static int put(int sock, const void *octets, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t step = send(sock, (const char *)octets + done, count - done, MSG_NOSIGNAL);
        if (step == -1 && errno == EINTR) continue;
        if (step == -1) return -1;
        done += step;
    }
    return 0;
}

// Reads until the stream ends, `size` octets came, or `lines` lines are complete; how many octets, or -1 with errno.
static ssize_t take(int sock, char *buffer, size_t size, int lines) {
    size_t filled = 0;
    for (int seen = 0; filled < size && (lines == 0 || seen < lines);) {
        ssize_t count = read(sock, buffer + filled, lines ? 1 : size - filled);
        if (count == -1 && errno == EINTR) continue;
        if (count == -1) return -1;
        if (count == 0) break;
        if (lines && buffer[filled] == '\n') seen++;
        filled += count;
    }
    return filled;
}

// close(2) with octets that nobody has read sends RST, and the client may lose our answer: read them first, for 1 s.
static void close_after_answer(int client) {
    struct timeval limit = {.tv_sec = 1};
    char unread[1024];
    shutdown(client, SHUT_WR);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (int i = 0; i < 64 && read(client, unread, sizeof unread) > 0; i++) continue;
    close(client);
}

static void clock_of(time_t seconds, char *text, size_t size) {
    struct tm when;
    if (!gmtime_r(&seconds, &when) || !strftime(text, size, "%H:%M:%S UTC", &when)) snprintf(text, size, "?");
}

// One read is taken for the message. 0, or -1 with errno.
static int take_message(int client) {
    char message[MAX_MESSAGE];
    ssize_t length = read(client, message, sizeof message);
    if (length == -1) return -1;
    if (length && message[length - 1] == '\n') length--;
    printf("Here is the message: %.*s\n", (int)length, message);
    fflush(stdout);
    const char *answer = "I got your message";
    return put(client, answer, strlen(answer));
}

// Greets, waits for the caller's words, says Bye. 0, or -1 with errno.
static int take_call(int client, const char *peer, int time_t_only) {
    char words[MAX_MESSAGE + 1], clock[32], hello[NI_MAXHOST + 128];
    long long seconds;
    clock_of(time(NULL), clock, sizeof clock);
    snprintf(hello, sizeof hello, "Hello %s, it is %s\n", peer, clock);
    if (put(client, hello, strlen(hello)) == -1) return -1;
    if (time_t_only) {
        ssize_t length = take(client, (char *)&seconds, sizeof seconds, 0);
        if (length == -1) return -1;
        if (length != sizeof seconds) return errno = EPROTO, -1;
        clock_of(seconds, clock, sizeof clock);
        printf("%s called at %s\n", peer, clock);
    } else {
        ssize_t length = take(client, words, MAX_MESSAGE, 2);
        if (length == -1) return -1;
        words[length] = '\0';
        char *end, *greeting = strchr(words, '\n');
        if (!greeting || strcspn(greeting + 1, "\n") == strlen(greeting + 1)) return errno = EPROTO, -1;
        seconds = strtoll(words, &end, 10);
        if (end == words || (*end != '\n' && *end != '\r')) return errno = EPROTO, -1;
        greeting[1 + strcspn(greeting + 1, "\r\n")] = '\0';
        clock_of(seconds, clock, sizeof clock);
        printf("%s called at %s and says: %s\n", peer, clock, greeting + 1);
    }
    fflush(stdout);
    return put(client, "Bye\n", 4);
}

static void name_of(const struct sockaddr *address, socklen_t size, char *text, size_t room) {
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(text, room, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static int lookup(const struct addrinfo *found) {
    char text[NI_MAXHOST + NI_MAXSERV + 4];
    for (; found; found = found->ai_next) {
        name_of(found->ai_addr, found->ai_addrlen, text, sizeof text);
        printf("%s\n", text);
    }
    return 0;
}

static int name(const struct addrinfo *found) {
    char host[NI_MAXHOST], service[NI_MAXSERV];
    int error = getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, service, sizeof service, 0);
    if (error) {
        fprintf(stderr, "%s\n", gai_strerror(error));
        return 1;
    }
    printf("host %s, service %s\n", host, service);
    return 0;
}

static int serve(const struct addrinfo *found, int greets, int once, int time_t_only) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    char text[NI_MAXHOST + NI_MAXSERV + 4];
    int on = 1, sock = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (sock == -1) die("socket");
    // Binds although connections of an earlier server are still in TIME-WAIT.
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1) die("setsockopt");
    if (bind(sock, found->ai_addr, found->ai_addrlen) == -1) die("bind");
    if (listen(sock, 16) == -1) die("listen");
    if (getsockname(sock, (struct sockaddr *)&peer, &size) == -1) die("getsockname");
    name_of((struct sockaddr *)&peer, size, text, sizeof text);
    fprintf(stderr, "listening on %s\n", text);
    for (;;) {
        size = sizeof peer;
        int client = accept(sock, (struct sockaddr *)&peer, &size);
        if (client == -1) {
            perror("accept");
            usleep(50000);  // avoids a busy loop when, for example, no descriptor is free
            continue;
        }
        name_of((struct sockaddr *)&peer, size, text, sizeof text);
        int failed = greets ? take_call(client, text, time_t_only) : take_message(client);
        // An error of one client is not an error of the server.
        if (failed) perror(text);
        close_after_answer(client);
        if (once) return failed ? 1 : 0;
    }
}

static int ask(const struct addrinfo *found, const void *words, size_t count, int half_close) {
    char answer[1024];
    int sock = -1;
    for (; found && sock == -1; found = found->ai_next) {
        int candidate = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
        if (candidate == -1) continue;
        if (connect(candidate, found->ai_addr, found->ai_addrlen) == 0)
            sock = candidate;
        else
            close(candidate);
    }
    if (sock == -1) die("connect");
    if (put(sock, words, count) == -1) die("send");
    // Closes only our direction: the host sees the end of our words and can still answer.
    if (half_close && shutdown(sock, SHUT_WR) == -1) die("shutdown");
    ssize_t length = take(sock, answer, sizeof answer, 0);
    if (length == -1) die("read");
    printf("%.*s%s", (int)length, answer, half_close ? "" : "\n");
    close(sock);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    int once = argc > 2 && strcmp(argv[2], "--once") == 0 && strcmp(mode, "listen") == 0;
    int time_t_only = argc > 2 && strcmp(argv[2], "--time-t") == 0 && (!strcmp(mode, "host") || !strcmp(mode, "call"));
    char **rest = argv + 2 + (once || time_t_only);
    int count = argc - (rest - argv);
    int is_name = strcmp(mode, "name") == 0;
    int is_server = strcmp(mode, "listen") == 0 || strcmp(mode, "host") == 0;
    int is_say = strcmp(mode, "say") == 0, is_call = strcmp(mode, "call") == 0;
    int wanted = (is_say && count == 3) || (is_call && !time_t_only) ? 3 : 2;
    int known = is_name || is_server || is_say || is_call || strcmp(mode, "lookup") == 0;
    if (!known || count != wanted || strncmp(rest[0], "--", 2) == 0) return usage(argv[0]);

    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (is_name) hints.ai_flags = AI_NUMERICHOST;
    int error = getaddrinfo(rest[0], rest[1], &hints, &found);
    if (error) {
        fprintf(stderr, "%s port %s: %s\n", rest[0], rest[1], gai_strerror(error));
        return 1;
    }
    int status = 0;
    char words[4096];
    if (is_name) {
        status = name(found);
    } else if (is_server) {
        status = serve(found, strcmp(mode, "host") == 0, once, time_t_only);
    } else if (is_call && time_t_only) {
        long long seconds = time(NULL);
        status = ask(found, &seconds, sizeof seconds, 1);
    } else if (is_call) {
        int length = snprintf(words, sizeof words, "%lld\n%s\n", (long long)time(NULL), rest[2]);
        status = ask(found, words, length < (int)sizeof words ? length : (int)sizeof words - 1, 1);
    } else if (is_say) {
        if (count == 3) {
            snprintf(words, sizeof words, "%s\n", rest[2]);
        } else {
            printf("Please enter the message: ");
            fflush(stdout);
            if (!fgets(words, sizeof words, stdin)) return 0;
        }
        status = ask(found, words, strlen(words), 0);
    } else {
        status = lookup(found);
    }
    freeaddrinfo(found);
    return status;
}
