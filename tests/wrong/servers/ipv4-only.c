/* mistake: an IPv4 socket, and inet_pton's failure is not looked at
 * finding: answers
 * says: IPv4 */
#include "calculator.h"

int main(int argc, char **argv)
{
    (void)argc;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return perror("bind"), 1;
    for (;;) {
        uint8_t request[1024], reply[MAX_REPLY];
        struct sockaddr_in client;
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(fd, request, sizeof request, 0, (struct sockaddr *)&client, &client_length);
        size_t size = answer(request, length, reply);
        if (size > 0)
            sendto(fd, reply, size, 0, (struct sockaddr *)&client, client_length);
    }
}
