/* A right answer and a right socket in C, for programs whose mistake is elsewhere. */
#ifndef CALCULATOR_H
#define CALCULATOR_H
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { MAX_REQUEST = 257, MAX_REPLY = 257, UNKNOWN = 0x7f, SUCCESS = 0xff };

/* Whether the protocol lets a server answer a datagram. */
static inline int is_request(const uint8_t *datagram, ssize_t length)
{
    return length >= 5 && length <= MAX_REQUEST && length % 4 == 1 && (datagram[0] & 0x7f) != 0x7f;
}

/* Sum or product; 0 if it does not fit. */
static inline int evaluate(const uint8_t *request, size_t length, uint64_t *result)
{
    int product = request[0] >> 1 & 7;
    *result = product;
    for (size_t i = 1; i < length; i += 4) {
        uint32_t operand;
        memcpy(&operand, request + i, 4);
        operand = ntohl(operand);
        if (product ? __builtin_mul_overflow(*result, operand, result) : __builtin_add_overflow(*result, operand, result))
            return 0;
    }
    return 1;
}

/* Writes the reply to a datagram; 0 is no reply. A result that it cannot compute is an error. */
static inline size_t answer(const uint8_t *request, ssize_t length, uint8_t *reply)
{
    uint64_t result;
    if (!is_request(request, length))
        return 0;
    reply[0] = UNKNOWN;
    if ((request[0] >> 1 & 7) > 1 || !evaluate(request, length, &result))
        return 1;
    if (request[0] & 1) {
        reply[0] = SUCCESS;
        return 1 + sprintf((char *)reply + 1, "%" PRIu64, result);
    }
    if (result > UINT32_MAX)
        return 1;
    uint32_t value = htonl(result);
    reply[0] = SUCCESS;
    memcpy(reply + 1, &value, 4);
    return 5;
}

/* A socket bound to the command line's HOST and PORT. */
static inline int bound_socket(char **argv)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET6, argv[1], &address.sin6_addr);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("bind");
        exit(1);
    }
    return fd;
}

/* Receives one datagram and answers it. */
static inline void serve_one(int fd)
{
    uint8_t request[65536], reply[MAX_REPLY];
    struct sockaddr_in6 client;
    socklen_t client_length = sizeof client;
    ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
    size_t size = length < 0 ? 0 : answer(request, length, reply);
    if (size > 0)
        sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
}
#endif
