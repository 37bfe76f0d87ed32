/* calc6: the two functions of the course's exercises. Link with libcalc6.a or libcalc6.so; `make capi` builds both. */
#ifndef CALC6_H
#define CALC6_H

#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Asks the server at `dest_addr` for the sum or the product of integers and waits for the reply:
 * socket(AF_INET6, SOCK_DGRAM, 0), connect, one send, one recv, all with flags 0.
 *
 *   ints, no_int   0 to 64 integers; each goes out as its 32 bits in network order. NULL with 0 is an empty list,
 *                  which is sent, but which servers need not answer.
 *   operation      '+' sum, '*' product
 *   output_format  'd' the server answers with an integer, 's' with a string of digits
 *   result         where the number is stored. It holds all 32 bits of what the server sent, so that a result of
 *                  2^31 to 2^32 - 1 is right after a cast to unsigned; the string "-2" is stored as -2.
 *
 * Returns 0, or -1 at the first call that fails, with its errno and *result untouched. Also -1, with errno:
 *   EINVAL      an operation or format that does not exist       EMSGSIZE    over 64 integers
 *   EFAULT      a null pointer                                    EOPNOTSUPP  the server answered with an error
 *   EBADMSG     what came is no reply to this request             EOVERFLOW   a string that 32 bits do not hold
 * The arguments are looked at after the socket is connected. Nothing is sent twice, and there is no timeout: a lost
 * datagram means waiting until a signal interrupts (EINTR; see alarm(2)). The client program does better.
 */
int create_and_send_message(const struct sockaddr *dest_addr, socklen_t addrlen, int *ints, size_t no_int,
                            char operation, char output_format, int *result);

/*
 * Waits at `src_addr` for one datagram and answers it: socket(AF_INET6, SOCK_DGRAM, 0), bind, one recvfrom, one
 * sendto to the address that recvfrom returned, with the length that it returned, all with flags 0.
 *
 * Returns 0, or -1 at the first call that fails, with its errno. An unknown operation is answered with an error, and
 * so is a result that the format has no room for (2^32 and more as an integer, over 256 digits as a string). A
 * datagram that is no request (empty, without operands, with half an operand, or a reply: first octet 0xff or 0x7f)
 * is not answered; that returns 0, as no call has failed.
 */
int recv_and_handle_message(const struct sockaddr *src_addr, socklen_t addrlen);

#ifdef __cplusplus
}
#endif

#endif
