/* The server of the calculator, to be filled in where it says TODO.
 *
 *     ./server HOST PORT        for example: ./server :: 10000
 *
 * The clauses in brackets are those of docs/protocol.md. To build it: make. To check it: lab check server -- ./server
 */
#include <arpa/inet.h> /* TODO: ntohl and htonl  [1.3] */
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define MAX_DATAGRAM 65535
#define MAX_REPLY 257 /* [2.5] */

/* Writes the octets that answer a request, and returns how many; 0 if it gets no answer.
 *
 * request[0]                one octet: four unused bits, three bits of opcode, one bit F  [2.1]
 * request[1], request[2]... the operands, four octets each, the most significant octet first. They are not aligned:
 *                           copy them with memcpy.
 */
static size_t answer(const uint8_t *request, size_t length, uint8_t reply[MAX_REPLY])
{
    /* TODO: check the length: 1 + 4n octets, 1 <= n <= 64. All else gets no answer.  [2.7] */
    /* TODO: a datagram that begins with 0xFF or 0x7F is a reply: no answer.  [4.1] */
    /* TODO: take opcode and F out of request[0]; ignore the unused bits.  [2.2, 2.3, 2.4] */
    /* TODO: read the operands, and compute their sum or their product, in 64 bits at least.  [2.3, 2.9] */
    /* TODO: an unknown opcode, or a result that does not fit, is an error: S = 0.  [2.6, 2.9] */
    /* TODO: else a success, S = 1, and the result: four octets (F = 0) or ASCII digits (F = 1).  [2.5, 2.4] */
    (void)request, (void)length, (void)reply;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 || atoi(argv[2]) < 0 || atoi(argv[2]) > UINT16_MAX) {
        fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
        return 2;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE}, *found;
    int wrong = getaddrinfo(argv[1], argv[2], &hints, &found);
    if (wrong) {
        fprintf(stderr, "server: %s %s: %s\n", argv[1], argv[2], gai_strerror(wrong));
        return 1;
    }
    int sock = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (sock < 0 || bind(sock, found->ai_addr, found->ai_addrlen) < 0) {
        perror("server");
        return 1;
    }
    freeaddrinfo(found);
    for (;;) {
        static uint8_t request[MAX_DATAGRAM], reply[MAX_REPLY];
        struct sockaddr_storage client;
        socklen_t size = sizeof client;
        ssize_t length = recvfrom(sock, request, sizeof request, 0, (struct sockaddr *)&client, &size);
        if (length < 0) {
            if (errno != EINTR)
                perror("server: recvfrom");
            continue;
        }
        size_t answered = answer(request, length, reply);
        if (answered > 0 && sendto(sock, reply, answered, 0, (struct sockaddr *)&client, size) < 0)
            perror("server: sendto");
    }
}
