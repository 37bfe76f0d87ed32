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

static const uint8_t request[21] = {0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9};

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
    static uint8_t replies[BATCH][LARGE], train[BATCH * sizeof request];
    static union {
        struct cmsghdr align;
        uint8_t octets[CMSG_SPACE(sizeof(uint16_t))];
    } control;
    for (int i = 0; i < BATCH; i++)
        memcpy(train + i * sizeof request, request, sizeof request);
    static struct iovec out_octets[BATCH], in_octets[BATCH];
    static struct mmsghdr out[BATCH], in[BATCH];
    for (int i = 0; i < BATCH; i++) {
        out_octets[i] = (struct iovec){(void *)request, sizeof request};
        in_octets[i] = (struct iovec){replies[i], segments ? LARGE : 64};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_octets[i], .msg_iovlen = 1};
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
    unsigned long count = 0;
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
            if (segments && due > 1) {
                uint16_t segment = sizeof request;
                struct iovec octets = {train, due * sizeof request};
                struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1, .msg_control = control.octets,
                    .msg_controllen = sizeof control.octets};
                struct cmsghdr *header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = IPPROTO_UDP;
                header->cmsg_type = UDP_SEGMENT;
                header->cmsg_len = CMSG_LEN(sizeof segment);
                memcpy(CMSG_DATA(header), &segment, sizeof segment);
                if (sendmsg(sockets[i], &message, MSG_DONTWAIT) > 0)
                    waiting[i] += due;
            } else if (due > 0) {
                int sent = sendmmsg(sockets[i], out, due, MSG_DONTWAIT);
                if (sent > 0)
                    waiting[i] += sent;
            }
        }
    }
    printf("%.0f\n", count / (now() - begun));
}
