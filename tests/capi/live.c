// The five functions on real sockets, as a program that uses the shared library would call them.
// live exercise1|exercise2|exercise3 PORT calls one of the first three once.
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
    if (argc < 3) return 2;
    address.sin6_port = htons(atoi(argv[2]));
    if (strncmp(argv[1], "exercise", 8) == 0) {
        const struct sockaddr *at = (struct sockaddr *)&address;
        int status = -1;
        alarm(60);
        if (argv[1][8] == '1') status = calc6_exercise1_create_and_send_message(at, sizeof address);
        if (argv[1][8] == '2') status = calc6_exercise2_recv_and_handle_message(at, sizeof address);
        if (argv[1][8] == '3') status = calc6_exercise3_recv_and_handle_message(at, sizeof address);
        return status == 0 ? 0 : 1;
    }
    if (argc < 4) return 2;
    // The only timeout. The server function makes a new socket for every datagram, so a datagram between two sockets is
    // lost; the client is then started again.
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
