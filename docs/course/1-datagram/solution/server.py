"""Lab 1: the same five octets for everybody."""
import socket
import sys

MAX_DATAGRAM = 65535


def answer(request):
    return bytes([0x80, 0, 0, 0, 4])


def main(words):
    family, kind, _, _, address = socket.getaddrinfo(*words, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as sock:
        sock.bind(address)
        while True:
            request, client = sock.recvfrom(MAX_DATAGRAM)
            sock.sendto(answer(request), client)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
