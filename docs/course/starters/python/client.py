"""The client of the calculator, to be filled in where it says TODO.

    python3 client.py --op OPERATOR [-s] HOST PORT INTEGER...
    for example: python3 client.py --op + ::1 10000 1 3 5 7 9

The clauses in brackets are those of docs/protocol.md. To check it: lab check client -- python3 client.py --op {op}
"""
import argparse
import socket
import struct  # TODO: struct.pack("!I", ...) writes 32 bits in network byte order  [1.3]
import sys
import time

MAX_REPLY = 1 + 256  # [2.5]
FIRST_WAIT = 1.0  # seconds  [5.1]
TRIES = 4


def request(operator, text, operands):
    """The octets of a request, or None as long as this is not written.

    One octet: four unused bits, which are 0, three bits of opcode (+ is 0, * is 1), one bit F (1 asks for text);
    then the operands, four octets each, the most significant octet first.  [2.1 to 2.4]
    """
    # TODO
    return None


def result(reply, text):
    """The number in a reply, as text; None if the datagram is no reply and waiting goes on.

    Raises ValueError for a reply that says error: the most significant bit, S, is 0.  [2.5, 2.6, 2.8]
    """
    # TODO
    return None


def ask(sock, octets, text):
    """Sends a request and returns the result."""
    # TODO: send the octets.
    # TODO: receive until result() says that a datagram counts.  [2.8]
    # TODO: nothing within FIRST_WAIT: send the same octets again, then wait twice as long; TRIES in all.  [5.1]
    raise TimeoutError("no reply")


def main():
    parser = argparse.ArgumentParser(prog="client.py")
    parser.add_argument("-op", "--op", choices=["+", "*"], required=True, help="what to compute")
    parser.add_argument("-s", "--string", action="store_true", help="ask for the result as text")
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("port", metavar="PORT", type=int)
    parser.add_argument("operands", metavar="INTEGER", type=int, nargs="+")
    words = parser.parse_args()
    if not 1 <= words.port <= 65535:
        parser.error(f"{words.port}: expected a port from 1 to 65535")
    octets = request(words.op, words.string, words.operands)
    if octets is None:
        print("client.py: there is no request yet: fill in request()", file=sys.stderr)
        return 1
    try:
        family, kind, _, _, address = socket.getaddrinfo(words.host, words.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sock:
            sock.connect(address)  # what comes from elsewhere never reaches this socket  [2.8]
            print("Result:", ask(sock, octets, words.string))
    except (OSError, ValueError) as error:
        print(f"client.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
