// The two functions on real sockets, as a program that uses the shared library would call them.
// live server PORT COUNT answers so many datagrams; live client PORT OPERATION FORMAT INTEGER... prints the result.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calc6.h"

int main(int argc, char **argv) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (argc < 4) return 2;
    address.sin6_port = htons(atoi(argv[2]));
    // There is no timeout but this. The server function's socket is another for every datagram, so one may be lost
    // between two; the client is then started again.
    alarm(strcmp(argv[1], "server") == 0 ? 60 : 5);
    if (strcmp(argv[1], "server") == 0) {
        for (int i = 0; i < atoi(argv[3]); i++) {
            if (recv_and_handle_message((struct sockaddr *)&address, sizeof address) == -1) {
                perror("recv_and_handle_message");
                return 1;
            }
        }
        return 0;
    }
    int ints[64], result;
    size_t count = argc - 5;
    if (argc < 5 || count > 64) return 2;
    for (size_t i = 0; i < count; i++) ints[i] = (int)strtoll(argv[5 + i], NULL, 10);
    if (create_and_send_message((struct sockaddr *)&address, sizeof address, ints, count, argv[3][0], argv[4][0],
                                &result) == -1) {
        perror("create_and_send_message");
        return 1;
    }
    printf("%d\n", result);
    return 0;
}
