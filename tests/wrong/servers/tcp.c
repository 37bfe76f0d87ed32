/* mistake: a stream socket
 * finding: answers
 * says: TCP */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET6, argv[1], &address.sin6_addr);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 5) < 0)
        return perror("listen"), 1;
    for (;;) {
        int client = accept(fd, NULL, NULL);
        uint8_t request[1024], reply[MAX_REPLY];
        ssize_t length = recv(client, request, sizeof request, 0);
        send(client, reply, answer(request, length, reply), 0);
        close(client);
    }
}
