"""The server of the calculator, to be filled in where it says TODO.

    python3 server.py HOST PORT        for example: python3 server.py :: 10000

The clauses in brackets are those of docs/protocol.md. To check it: lab check server -- python3 server.py
"""
import socket
import struct  # TODO: struct.unpack("!I", ...) reads 32 bits in network byte order  [1.3]
import sys

MAX_DATAGRAM = 65535


def answer(request):
    """The octets that answer a request, or None if it gets no answer.

    request[0]      one octet: four unused bits, three bits of opcode, one bit F  [2.1]
    request[1:]     the operands, four octets each, the most significant octet first
    """
    # TODO: check the length: 1 + 4n octets, 1 <= n <= 64. All else gets no answer.  [2.7]
    # TODO: a datagram that begins with 0xFF or 0x7F is a reply: no answer.  [4.1]
    # TODO: take opcode and F out of request[0]; ignore the unused bits.  [2.2, 2.3, 2.4]
    # TODO: read the operands, and compute their sum or their product.  [2.3]
    # TODO: an unknown opcode, or a result that does not fit, is an error: S = 0.  [2.6, 2.9]
    # TODO: else a success, S = 1, and the result: four octets (F = 0) or ASCII digits (F = 1).  [2.5, 2.4]
    return None


def main(words):
    if len(words) != 2 or not words[1].isdigit() or int(words[1]) > 65535:
        print("usage: server.py HOST PORT", file=sys.stderr)
        return 2
    try:
        family, kind, _, _, address = socket.getaddrinfo(*words, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sock:
            sock.bind(address)
            while True:
                request, client = sock.recvfrom(MAX_DATAGRAM)
                reply = answer(request)
                if reply is not None:
                    sock.sendto(reply, client)
    except OSError as error:
        print(f"server.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
