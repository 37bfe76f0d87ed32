/* Preloaded into a program: a kernel that refuses segments. With REFUSE=options it knows none of the socket options
 * (ENOPROTOOPT), as before Linux 4.18; otherwise it refuses every message with segments, with the errno in REFUSE. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int to_be_cut(struct msghdr *message)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control))
        if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_SEGMENT)
            return 1;
    return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    int (*real)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
    int segments = level == IPPROTO_UDP && (name == UDP_SEGMENT || name == UDP_GRO);
    if (!strcmp(getenv("REFUSE"), "options") && (segments || (level == SOL_SOCKET && name == SO_RXQ_OVFL))) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return real(fd, level, name, value, length);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    int (*real)(int, struct mmsghdr *, unsigned, int) = dlsym(RTLD_NEXT, "sendmmsg");
    unsigned sent = 0;
    while (sent < count && !to_be_cut(&messages[sent].msg_hdr))
        sent++;
    if (sent > 0)
        return real(fd, messages, sent, flags);
    errno = atoi(getenv("REFUSE"));
    return -1;
}
