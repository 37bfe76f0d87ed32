/* Preloaded into a server: of each of its two calls every third fails, with every error that a network can cause in turn, and every
 * second of the others does only a part of its work. With BROKEN_SOCKET in the environment the socket is gone instead,
 * for the thread that makes the tenth call, and for ever; with NO_OPTIONS the kernel lacks every socket option that only
 * counts or tunes, and all else works. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

static const int errors[] = {EINTR,        ENOBUFS, EPERM,     ENETUNREACH, EMSGSIZE, ECONNREFUSED, EHOSTUNREACH,
                             EAGAIN,       ENOMEM,  ENETDOWN,  EACCES,      EPROTO,   EADDRNOTAVAIL, ENODEV};

struct calls {
    unsigned made;
};

static struct calls sends, receives;

static int fails(struct calls *calls)
{
    unsigned call = calls->made++;
    if (call % 3 || getenv("NO_OPTIONS"))
        return 0;
    errno = errors[call / 3 % (sizeof errors / sizeof errors[0])];
    return 1;
}

static unsigned part(const struct calls *calls, unsigned count)
{
    return calls->made % 2 && count > 1 ? (count + 1) / 2 : count;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    int (*real)(int, struct mmsghdr *, unsigned, int) = dlsym(RTLD_NEXT, "sendmmsg");
    return fails(&sends) ? -1 : real(fd, messages, part(&sends, count), flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    int (*real)(int, struct mmsghdr *, unsigned, int, struct timespec *) = dlsym(RTLD_NEXT, "recvmmsg");
    static _Thread_local int broken;
    if (getenv("BROKEN_SOCKET")) {
        broken |= ++receives.made == 10;
        errno = EBADF;
        return broken ? -1 : real(fd, messages, count, flags, timeout);
    }
    return fails(&receives) ? -1 : real(fd, messages, part(&receives, count), flags, timeout);
}

/* Whether a server cannot do without an option. */
static int essential(int level, int name)
{
    if (level == SOL_SOCKET)
        return name == SO_REUSEPORT || name == SO_REUSEADDR || name == SO_RCVTIMEO || name == SO_ATTACH_FILTER;
    return (level == IPPROTO_IPV6 && (name == IPV6_V6ONLY || name == IPV6_RECVPKTINFO)) ||
           (level == IPPROTO_IP && name == IP_PKTINFO);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    int (*real)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
    if (getenv("NO_OPTIONS") && !essential(level, name)) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return real(fd, level, name, value, length);
}
