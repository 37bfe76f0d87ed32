"""Lab 3: the client of the calculator, for a network that loses nothing. The clauses are those of docs/protocol.md."""
import argparse
import socket
import struct
import sys

MAX_REPLY = 1 + 256  # [2.5]


def request(operator, text, operands):
    """The octets of a request.  [2.1 to 2.4]"""
    header = (1 if operator == "*" else 0) << 1 | text
    return struct.pack(f"!B{len(operands)}I", header, *operands)


def result(reply, text):
    """The number in a reply, as text; None if the datagram is no reply and waiting goes on.

    Raises ValueError for a reply that says error.  [2.5, 2.6, 2.8]
    """
    if not reply:
        return None
    if not reply[0] & 0x80:
        raise ValueError("the server replied with an error")
    if text:
        digits = reply[1:].removesuffix(b"\0")  # [2.11]
        is_decimal = digits.removeprefix(b"-").isdigit() and len(reply) <= MAX_REPLY
        return digits.decode("ascii") if is_decimal else None
    return str(struct.unpack("!I", reply[1:])[0]) if len(reply) == 5 else None


def ask(sock, octets, text):
    """Sends a request and returns the result."""
    sock.send(octets)
    while True:
        number = result(sock.recv(MAX_REPLY + 1), text)
        if number is not None:
            return number


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
    if len(words.operands) > 64 or not all(0 <= operand < 2**32 for operand in words.operands):  # [2.1]
        parser.error("expected 1 to 64 integers from 0 to 4294967295")
    octets = request(words.op, words.string, words.operands)
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
