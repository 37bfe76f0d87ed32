"""Lab 1: nine octets that ask for 1 + 3, whatever the command line says; the reply in hexadecimal."""
import argparse
import socket
import sys


def request():
    return bytes([0x00, 0, 0, 0, 1, 0, 0, 0, 3])


def main():
    parser = argparse.ArgumentParser(prog="client.py")
    parser.add_argument("-op", "--op", choices=["+", "*"], required=True)
    parser.add_argument("-s", "--string", action="store_true")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("operands", type=int, nargs="+")
    words = parser.parse_args()
    family, kind, _, _, address = socket.getaddrinfo(words.host, words.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as sock:
        sock.connect(address)
        sock.settimeout(5)
        sock.send(request())
        print(sock.recv(257).hex(" "))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"client.py: {error}")
