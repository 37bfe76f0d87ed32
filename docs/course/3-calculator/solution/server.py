"""Lab 3: the server of the calculator. The clauses in brackets are those of docs/protocol.md."""
import math
import socket
import struct
import sys

MAX_DATAGRAM = 65535
MAX_OPERANDS = 64
MAX_DIGITS = 256
SUCCESS, ERROR = 0xFF, 0x7F  # with all unused bits set, so that no server takes them for requests  [2.5, 4.1]


def answer(request):
    """The octets that answer a request, or None if it gets no answer."""
    count, rest = divmod(len(request) - 1, 4)
    if rest or not 1 <= count <= MAX_OPERANDS or request[0] in (SUCCESS, ERROR):  # [2.7, 4.1]
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
