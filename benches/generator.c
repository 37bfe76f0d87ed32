/* A plain load generator in C: a window of requests in flight on each connected socket, sendmmsg and
 * recvmmsg, nothing verified. generator ADDRESS PORT CONNECTIONS WINDOW SECONDS [segments]; prints replies per second.
 * With `segments` requests leave as segments of one message and trains of replies, of five octets each, are received. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, MAX_CONNECTIONS = 256, LARGE = 65600, REPLY = 5 };

/* Twice the same but for an unused bit, sent in turn: a server's guard against loops drops one of very many identical
 * requests. */
static const uint8_t request[2][21] = {
    {0x00, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9},
    {0x10, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9},
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    struct sockaddr_in6 server = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET6, argv[1], &server.sin6_addr);
    int connections = atoi(argv[3]), window = atoi(argv[4]), sockets[MAX_CONNECTIONS], waiting[MAX_CONNECTIONS] = {0};
    double seconds = atof(argv[5]);
    int segments = argc > 6, one = 1;
    static uint8_t replies[BATCH][LARGE], train[(BATCH + 1) * sizeof *request];
    static union {
        struct cmsghdr align;
        uint8_t octets[CMSG_SPACE(sizeof(uint16_t))];
    } control;
    static struct iovec out_octets[BATCH + 1], in_octets[BATCH];
    static struct mmsghdr out[BATCH + 1], in[BATCH];
    for (int i = 0; i <= BATCH; i++) {
        memcpy(train + i * sizeof *request, request[i % 2], sizeof *request);
        out_octets[i] = (struct iovec){(void *)request[i % 2], sizeof *request};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_octets[i], .msg_iovlen = 1};
    }
    for (int i = 0; i < BATCH; i++) {
        in_octets[i] = (struct iovec){replies[i], segments ? LARGE : 64};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_octets[i], .msg_iovlen = 1};
    }
    for (int i = 0; i < connections; i++) {
        int size = 4 << 20;
        sockets[i] = socket(AF_INET6, SOCK_DGRAM, 0);
        setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        if (segments && setsockopt(sockets[i], IPPROTO_UDP, UDP_GRO, &one, sizeof one) < 0)
            return perror("UDP_GRO"), 1;
        if (connect(sockets[i], (struct sockaddr *)&server, sizeof server) < 0)
            return perror("connect"), 1;
    }
    unsigned long count = 0, sent_all[MAX_CONNECTIONS] = {0};
    double begun = now();
    while (now() - begun < seconds) {
        for (int i = 0; i < connections; i++) {
            int received = recvmmsg(sockets[i], in, BATCH, MSG_DONTWAIT, 0);
            if (received > 0) {
                int replied = received;
                if (segments) {
                    replied = 0;
                    for (int m = 0; m < received; m++)
                        replied += in[m].msg_len / REPLY;
                }
                count += replied;
                waiting[i] -= replied;
            }
        }
        for (int i = 0; i < connections; i++) {
            int due = window - waiting[i] < BATCH ? window - waiting[i] : BATCH;
            int turn = sent_all[i] % 2;
            if (segments && due > 1) {
                uint16_t segment = sizeof *request;
                struct iovec octets = {train + turn * sizeof *request, due * sizeof *request};
                struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1, .msg_control = control.octets,
                    .msg_controllen = sizeof control.octets};
                struct cmsghdr *header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = IPPROTO_UDP;
                header->cmsg_type = UDP_SEGMENT;
                header->cmsg_len = CMSG_LEN(sizeof segment);
                memcpy(CMSG_DATA(header), &segment, sizeof segment);
                if (sendmsg(sockets[i], &message, MSG_DONTWAIT) > 0)
                    waiting[i] += due, sent_all[i] += due;
            } else if (due > 0) {
                int sent = sendmmsg(sockets[i], out + turn, due, MSG_DONTWAIT);
                if (sent > 0)
                    waiting[i] += sent, sent_all[i] += sent;
            }
        }
    }
    printf("%.0f\n", count / (now() - begun));
}
