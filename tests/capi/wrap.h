// Replaces the socket calls of libc, with the linker's --wrap: records the arguments and returns what a test sets.
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define DESCRIPTOR 42
#define ADDRESS ((const struct sockaddr *)0xdeadbeef)  // a pointer that must not be followed
#define ADDRESS_LENGTH 17

static const char *test;
static int failures;

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            failures++;                                                         \
            printf("%s, line %d: not so: %s\n", test, __LINE__, #condition);    \
        }                                                                       \
    } while (0)

// What was called, in order: the first letters of socket, connect, bind, send, recv, recv(F)rom, send(T)o, (X) close.
static char order[32];

// The last arguments of each.
static struct { int domain, type, protocol; } socket_call;
static struct { int fd; const void *address; socklen_t length; } connect_call, bind_call;
static struct { int fd; uint8_t octets[2048]; size_t length; int flags; } send_call;
static struct { int fd; size_t length; int flags; } recv_call;
static struct { int fd; size_t length; int flags; socklen_t room; } recvfrom_call;
static struct {
    int fd;
    uint8_t octets[2048], address[128];
    size_t length;
    int flags;
    socklen_t address_length;
} sendto_call;
static int closed;

// What each returns, and which errno it leaves where that is -1.
static struct { int socket, connect, bind, send, sendto, close; } returns;
static int failing_errno;
// What recv and recvfrom deliver; `incoming_length` -1 makes them fail.
static uint8_t incoming[2048];
static ssize_t incoming_length;
// The raw socket address that recvfrom reports.
static uint8_t sender[128];
static socklen_t sender_length;

static void called(char letter) { order[strlen(order)] = letter; }

static long returned(long value) {
    if (value == -1) errno = failing_errno;
    return value;
}

static ssize_t deliver(void *buffer, size_t length) {
    if (incoming_length == -1) return returned(-1);
    size_t count = (size_t)incoming_length < length ? (size_t)incoming_length : length;
    memcpy(buffer, incoming, count);
    return count;
}

int __wrap_socket(int domain, int type, int protocol) {
    called('s');
    socket_call.domain = domain, socket_call.type = type, socket_call.protocol = protocol;
    return returned(returns.socket);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length) {
    called('c');
    connect_call.fd = fd, connect_call.address = address, connect_call.length = length;
    return returned(returns.connect);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length) {
    called('b');
    bind_call.fd = fd, bind_call.address = address, bind_call.length = length;
    return returned(returns.bind);
}

ssize_t __wrap_send(int fd, const void *octets, size_t length, int flags) {
    called('S');
    send_call.fd = fd, send_call.length = length, send_call.flags = flags;
    memcpy(send_call.octets, octets, length);
    return returned(returns.send);
}

ssize_t __wrap_recv(int fd, void *buffer, size_t length, int flags) {
    called('R');
    recv_call.fd = fd, recv_call.length = length, recv_call.flags = flags;
    return deliver(buffer, length);
}

ssize_t __wrap_recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *address, socklen_t *room) {
    called('F');
    recvfrom_call.fd = fd, recvfrom_call.length = length, recvfrom_call.flags = flags, recvfrom_call.room = *room;
    memcpy(address, sender, sender_length);
    *room = sender_length;
    return deliver(buffer, length);
}

ssize_t __wrap_sendto(int fd, const void *octets, size_t length, int flags, const struct sockaddr *address,
                      socklen_t address_length) {
    called('T');
    sendto_call.fd = fd, sendto_call.length = length, sendto_call.flags = flags;
    sendto_call.address_length = address_length;
    memcpy(sendto_call.octets, octets, length);
    memcpy(sendto_call.address, address, address_length);
    return returned(returns.sendto);
}

int __wrap_close(int fd) {
    called('X');
    closed = fd;
    if (returns.close == -1) errno = EIO;
    return returns.close;
}

// Starts a test: all calls succeed, nothing is recorded, and this datagram will come in.
static void begin(const char *name, const char *octets, ssize_t length) {
    test = name;
    memset(order, 0, sizeof order);
    memset(&socket_call, 0xaa, sizeof socket_call);
    memset(&connect_call, 0xaa, sizeof connect_call);
    memset(&bind_call, 0xaa, sizeof bind_call);
    memset(&send_call, 0xaa, sizeof send_call);
    memset(&recv_call, 0xaa, sizeof recv_call);
    memset(&recvfrom_call, 0xaa, sizeof recvfrom_call);
    memset(&sendto_call, 0xaa, sizeof sendto_call);
    closed = -1;
    returns.socket = DESCRIPTOR;
    returns.connect = returns.bind = returns.close = 0;
    returns.send = returns.sendto = 5;
    failing_errno = EHOSTUNREACH;
    incoming_length = length;
    if (length > 0) memcpy(incoming, octets, length);
    sender_length = 28;
    for (size_t i = 0; i < sizeof sender; i++) sender[i] = 0x80 + i;
    errno = 0;
}
