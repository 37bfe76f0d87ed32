/*
 * calc6: the functions of the five exercises on sockets of "Computer Networking: Principles, Protocols and Practice"
 * (https://github.com/cnp3/exercises-inginious, the tasks sockets-*). Link with libcalc6.a or libcalc6.so; `make capi`
 * builds both.
 *
 *   exercise                        function                  CALC6_EXERCISE
 *   Creating a socket               create_and_send_message   1
 *   Creating a listening socket     recv_and_handle_message   2
 *   Sending strings                 recv_and_handle_message   3
 *   An advanced client application  create_and_send_message   4, or not defined
 *   An advanced server application  recv_and_handle_message   5, or not defined
 *
 * The exercises use two names for five functions. Define CALC6_EXERCISE before this header is included, and the name is
 * that exercise's function: #define CALC6_EXERCISE 1.
 */
#ifndef CALC6_H
#define CALC6_H

#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first three exercises under names of their own, whatever CALC6_EXERCISE is. Each is one socket call after the
 * other, with flags 0, and returns 0, or -1 at the first call that fails, with its errno. */

/* Sends the odd digits 1 3 5 7 9 to `dest_addr`, as 32-bit integers in network order: socket(AF_INET6, SOCK_DGRAM, 0),
 * connect, send. It does not wait for a reply. */
int calc6_exercise1_create_and_send_message(const struct sockaddr *dest_addr, socklen_t addrlen);

/* Waits at `src_addr` for one datagram of 1 to 256 integers and replies with their sum modulo 2^32, as an integer in
 * network order: socket(AF_INET6, SOCK_DGRAM, 0), bind, recvfrom, sendto. Any other datagram is not answered; that
 * returns 0, as no call has failed. Nothing in the messages tells a reply from a request, so two such servers in a loop
 * can answer each other for ever: do not run them on an open network. */
int calc6_exercise2_recv_and_handle_message(const struct sockaddr *src_addr, socklen_t addrlen);

/* The same with the sum as a string, as sprintf(3) with %d writes an int, without a terminating NUL. */
int calc6_exercise3_recv_and_handle_message(const struct sockaddr *src_addr, socklen_t addrlen);

#if defined(CALC6_EXERCISE) && CALC6_EXERCISE == 1
static inline int create_and_send_message(const struct sockaddr *dest_addr, socklen_t addrlen) {
    return calc6_exercise1_create_and_send_message(dest_addr, addrlen);
}
#elif defined(CALC6_EXERCISE) && CALC6_EXERCISE == 2
static inline int recv_and_handle_message(const struct sockaddr *src_addr, socklen_t addrlen) {
    return calc6_exercise2_recv_and_handle_message(src_addr, addrlen);
}
#elif defined(CALC6_EXERCISE) && CALC6_EXERCISE == 3
static inline int recv_and_handle_message(const struct sockaddr *src_addr, socklen_t addrlen) {
    return calc6_exercise3_recv_and_handle_message(src_addr, addrlen);
}
#elif defined(CALC6_EXERCISE) && CALC6_EXERCISE != 4 && CALC6_EXERCISE != 5
#error "CALC6_EXERCISE is 1, 2, 3, 4 or 5"
#else

/*
 * Asks the server at `dest_addr` for the sum or the product of integers and waits for the reply:
 * socket(AF_INET6, SOCK_DGRAM, 0), connect, one send, one recv, all with flags 0.
 *
 *   ints, no_int   0 to 64 integers; each goes out as its 32 bits in network order. NULL with 0 is an empty list,
 *                  which is sent, but which servers need not answer.
 *   operation      '+' sum, '*' product
 *   output_format  'd' the server answers with an integer, 's' with a string of digits
 *   result         where the number is stored: all 32 bits that the server sent, so that a result of 2^31 to 2^32 - 1
 *                  is right after a cast to unsigned; the string "-2" is stored as -2.
 *
 * Returns 0, or -1 at the first call that fails, with its errno and *result untouched. Also -1, with errno:
 *   EINVAL      an operation or format that does not exist       EMSGSIZE    over 64 integers
 *   EFAULT      a null pointer                                    EOPNOTSUPP  the server answered with an error
 *   EBADMSG     the datagram is not a reply to this request       EOVERFLOW   a string that 32 bits do not hold
 * The arguments are checked after the socket is connected. Nothing is sent twice, and there is no timeout: if a datagram
 * is lost, it waits until a signal interrupts it (EINTR; see alarm(2)). The client program does better.
 */
int create_and_send_message(const struct sockaddr *dest_addr, socklen_t addrlen, int *ints, size_t no_int,
                            char operation, char output_format, int *result);

/*
 * Waits at `src_addr` for one datagram and answers it: socket(AF_INET6, SOCK_DGRAM, 0), bind, one recvfrom, one
 * sendto to the address that recvfrom returned, with the length that it returned, all with flags 0.
 *
 * Returns 0, or -1 at the first call that fails, with its errno. An unknown operation is answered with an error, and
 * so is a result that does not fit the format (2^32 and more as an integer, over 256 digits as a string). A datagram
 * that is not a request (empty, without operands, with half an operand, or a reply: first octet 0xff or 0x7f) is not
 * answered; that returns 0, as no call has failed.
 */
int recv_and_handle_message(const struct sockaddr *src_addr, socklen_t addrlen);

#endif

#ifdef __cplusplus
}
#endif

#endif
