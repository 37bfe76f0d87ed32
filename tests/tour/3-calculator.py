"""Chapter 3 in Python: the course's client and server. Python's integers are exact, whatever their size."""
import ipaddress
import math
import signal
import socket
import struct
import sys

MAX_REQUEST = 1 + 4 * 64
MAX_DIGITS = 256
SUCCESS, ERROR = 0xFF, 0x7F


def ask(peer, symbol, as_text, operands):
    header = (1 if symbol == "*" else 0) << 1 | as_text
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        sock.settimeout(2)
        sock.send(struct.pack(f"!B{len(operands)}I", header, *operands))
        print("Result:", result(sock.recv(1 + MAX_DIGITS), as_text))


def result(reply, as_text):
    """The reply's payload as decimal digits. Of the first octet only the first bit counts."""
    if reply and not reply[0] & 0x80:
        raise OSError("the server replied with an error")
    if as_text and reply[1:].isdigit():
        return reply[1:].decode("ascii")
    if not as_text and len(reply) == 5:
        return struct.unpack("!I", reply[1:])[0]
    raise OSError("this is not a reply to such a request")


def reply_to(request):
    """The reply, or None: to a reply, and to what is not 1 to 64 operands."""
    if len(request) < 5 or len(request) > MAX_REQUEST or len(request) % 4 != 1 or request[0] in (SUCCESS, ERROR):
        return None
    header, *operands = struct.unpack(f"!B{len(request) // 4}I", request)
    opcode, as_text = header >> 1 & 0b111, header & 1
    if opcode > 1:
        return bytes([ERROR])
    number = sum(operands) if opcode == 0 else math.prod(operands)
    # An integer has room for 32 bits and a string for 256 digits: beyond that an error, never a wrong number.
    if as_text and number < 10**MAX_DIGITS:
        return bytes([SUCCESS]) + str(number).encode("ascii")
    if not as_text and number < 2**32:
        return struct.pack("!BI", SUCCESS, number)
    return bytes([ERROR])


def serve(local):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(local)
        host, port = sock.getsockname()[:2]
        print(f"listening on [{host}]:{port}", file=sys.stderr)
        while True:
            # One octet more than the longest request, so that a longer one is recognised.
            request, peer = sock.recvfrom(MAX_REQUEST + 1)
            reply = reply_to(request)
            if reply is None:
                continue
            try:
                sock.sendto(reply, peer)
            except OSError as error:
                print(f"to {peer[0]} port {peer[1]}: {error}", file=sys.stderr)


def address(host, port):
    port = int(port)
    if not 0 <= port <= 65535:
        raise ValueError
    return str(ipaddress.IPv6Address(host)), port


def usage():
    print("usage: 3-calculator.py server IPV6-ADDRESS PORT", file=sys.stderr)
    print("       3-calculator.py +|* -d|-s IPV6-ADDRESS PORT OPERAND...", file=sys.stderr)
    sys.exit(2)


def main(words):
    try:
        if words[:1] == ["server"] and len(words) == 3:
            return serve(address(*words[1:]))
        symbol, form, host, port, *operands = words
        peer, operands = address(host, port), [int(word) for word in operands]
    except ValueError:
        usage()
    in_range = 1 <= len(operands) <= 64 and all(0 <= operand < 2**32 for operand in operands)
    if symbol not in ("+", "*") or form not in ("-d", "-s") or not in_range:
        usage()
    ask(peer, symbol, form == "-s", operands)


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"3-calculator.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
