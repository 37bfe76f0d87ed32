/* The least that a datagram server can do, in C: it parses nothing and answers everything with the same five octets.
 * floor ADDRESS [segments [trains]]; it chooses a port and prints it, after a colon, to standard error.
 * Without a word: recvmmsg and sendmmsg. `segments`: replies to one peer that follow each other are joined (UDP_SEGMENT).
 * `trains`: joined requests are received whole, too (UDP_GRO). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BATCH = 32, SMALL = 1344, LARGE = 65600, SEGMENTS = 64, LENGTH = 5 };

static uint8_t octets[BATCH * LARGE];
static uint8_t replies[SEGMENTS * LENGTH];
static struct mmsghdr in[BATCH], out[BATCH * 128];
static struct iovec in_octets[BATCH], out_octets[BATCH * 128];
static struct sockaddr_in6 names[BATCH];
static union {
    struct cmsghdr align;
    uint8_t octets[CMSG_SPACE(sizeof(int))];
} in_control[BATCH], out_control[BATCH * 128];

/* How many datagrams one message has brought. */
static unsigned datagrams(struct mmsghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(&message->msg_hdr);
    for (; control; control = CMSG_NXTHDR(&message->msg_hdr, control))
        if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(control), sizeof segment);
            return (message->msg_len + segment - 1) / segment;
        }
    return 1;
}

/* One message of so many replies. */
static void reply(struct mmsghdr *message, int place, struct sockaddr_in6 *to, unsigned count)
{
    out_octets[place] = (struct iovec){replies, count * LENGTH};
    message->msg_hdr = (struct msghdr){
        .msg_name = to, .msg_namelen = sizeof *to, .msg_iov = &out_octets[place], .msg_iovlen = 1};
    if (count < 2)
        return;
    uint16_t segment = LENGTH;
    message->msg_hdr.msg_control = out_control[place].octets;
    message->msg_hdr.msg_controllen = CMSG_SPACE(sizeof segment);
    struct cmsghdr *control = CMSG_FIRSTHDR(&message->msg_hdr);
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(control), &segment, sizeof segment);
}

int main(int argc, char **argv)
{
    int segments = argc > 2, trains = argc > 3, room = trains ? LARGE : SMALL, size = 4 << 20, one = 1;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t length = sizeof address;
    if (argc < 2 || inet_pton(AF_INET6, argv[1], &address.sin6_addr) != 1)
        return 2;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return perror("bind"), 1;
    if (trains && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) < 0)
        return perror("UDP_GRO"), 1;
    getsockname(fd, (struct sockaddr *)&address, &length);
    fprintf(stderr, "floor:%d\n", ntohs(address.sin6_port));
    for (int i = 0; i < SEGMENTS; i++)
        memcpy(replies + i * LENGTH, (uint8_t[]){0xff, 0, 0, 0, 25}, LENGTH);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            /* An odd number of cache lines apart. */
            in_octets[i] = (struct iovec){octets + (size_t)i * room, room};
            in[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i],
                .msg_iov = &in_octets[i], .msg_iovlen = 1,
                .msg_control = trains ? in_control[i].octets : 0,
                .msg_controllen = trains ? sizeof in_control[i].octets : 0};
        }
        int received = recvmmsg(fd, in, BATCH, MSG_WAITFORONE, 0), messages = 0;
        for (int i = 0; i < received;) {
            unsigned count = datagrams(&in[i]);
            int first = i++;
            for (; segments && i < received && !memcmp(&names[i], &names[first], sizeof names[i]); i++)
                count += datagrams(&in[i]);
            for (; count > 0; messages++) {
                unsigned now = count < SEGMENTS ? count : SEGMENTS;
                reply(&out[messages], messages, &names[first], segments ? now : 1);
                count -= segments ? now : 1;
            }
        }
        for (int sent = 0; sent < messages;) {
            int more = sendmmsg(fd, out + sent, messages - sent, 0);
            sent += more > 0 ? more : 1;
        }
    }
}
