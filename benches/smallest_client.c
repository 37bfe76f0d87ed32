/* The smallest client of the classic form: it sums its operands, without checks, repeats or a deadline. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    unsigned char datagram[257] = {0};
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    int count = argc - 3, udp = socket(AF_INET6, SOCK_DGRAM, 0);
    uint32_t number;
    inet_pton(AF_INET6, argv[1], &peer.sin6_addr);
    for (int i = 0; i < count; i++) {
        number = htonl(strtoul(argv[3 + i], NULL, 10));
        memcpy(datagram + 1 + 4 * i, &number, 4);
    }
    sendto(udp, datagram, 1 + 4 * count, 0, (struct sockaddr *)&peer, sizeof peer);
    recv(udp, datagram, sizeof datagram, 0);
    memcpy(&number, datagram + 1, 4);
    printf("Result: %u\n", ntohl(number));
    return 0;
}
