"""Lab 6: the server of the calculator, with the extended form beside the classic one."""
import math
import socket
import struct
import sys

import extended

sys.set_int_max_str_digits(0)  # results of 1220 octets have 2,900 digits, and a product in between twice as many

MAX_DATAGRAM = 65535
MAX_OPERANDS = 64
MAX_DIGITS = 256
SUCCESS, ERROR = 0xFF, 0x7F  # with all unused bits set, so that no server takes them for requests  [2.5, 4.1]
QUEUE = 1 << 20  # octets that may wait in the socket while Python is busy
PKTINFO_ROOM = socket.CMSG_SPACE(20)  # struct in6_pktinfo: 16 octets of address, 4 of interface (RFC 3542)


def answer(request):
    """The octets that answer a request, or None if it gets no answer."""
    if len(request) >= extended.HEADER and request[0] in (0x1E, 0x1F):  # opcode 7, version 1  [3.2, 4.4]
        return extended.answer(request)
    if request[:1] in (bytes([SUCCESS]), bytes([ERROR])):  # a reply  [4.1]
        return None
    if extended.HEADER <= len(request) <= extended.MAX_REQUEST and request[0] >> 1 & 0b111 == 7:
        return bytes([ERROR])  # another version  [4.4]
    count, rest = divmod(len(request) - 1, 4)
    if rest or not 1 <= count <= MAX_OPERANDS:  # [2.7]
        return None
    header, *operands = struct.unpack(f"!B{count}I", request)  # [1.3]
    opcode, text = header >> 1 & 0b111, header & 1  # [2.3, 2.4]
    if opcode == 0:
        number = sum(operands)
    elif opcode == 1:
        number = math.prod(operands)
    else:
        return bytes([ERROR])  # [2.6]
    if text:
        digits = str(number).encode("ascii")
        return bytes([SUCCESS]) + digits if len(digits) <= MAX_DIGITS else bytes([ERROR])  # [2.10]
    return struct.pack("!BI", SUCCESS, number) if number < 2**32 else bytes([ERROR])  # [2.9]


def serve(sock):
    """Answers for ever, with no state from one datagram to the next.  [4.5, 4.9]"""
    while True:
        request, control, _, client = sock.recvmsg(MAX_DATAGRAM, PKTINFO_ROOM)
        reply = answer(request)
        if reply is None:
            continue
        try:
            # Handing back what was received makes the reply leave from the address that was asked.  [4.8]
            sock.sendmsg([reply], control, 0, client)
        except OSError as error:  # one client that cannot be reached is no reason to end
            print(f"server.py: to {client[0]} {client[1]}: {error}", file=sys.stderr)


def main(words):
    if len(words) != 2 or not words[1].isdigit() or int(words[1]) > 65535:
        print("usage: server.py HOST PORT", file=sys.stderr)
        return 2
    try:
        family, kind, _, _, address = socket.getaddrinfo(*words, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.bind(address)
            serve(sock)
    except OSError as error:
        print(f"server.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
