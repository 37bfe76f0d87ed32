"""Chapter 2 in Python: the same modes and the same output as the Rust program."""
import ipaddress
import signal
import socket
import struct
import sys

MAX_MESSAGE_SIZE = 1024


def hex_groups(octets):
    return octets.hex(" ", -4)


def show(address):
    return f"[{address[0]}]:{address[1]}"


def ask(peer, numbers, encode, decode):
    """Sends the integers, packed with the format `encode`, and prints the reply as `decode` reads it."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        sock.settimeout(5)
        request = struct.pack(f"{encode}{len(numbers)}I", *numbers)
        print("sent    ", hex_groups(request), flush=True)
        sock.send(request)
        reply = sock.recv(MAX_MESSAGE_SIZE)
        print("received", hex_groups(reply))
        result = decode(reply)
        if result is None:
            sys.exit("2-integers.py: this is not a reply to such a request")
        print("sum     ", result)


def serve(local, order, encode):
    """Replies to every datagram with the sum of its integers."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(local)
        print(f"listening on {show(sock.getsockname())}", file=sys.stderr)
        while True:
            message, peer = sock.recvfrom(MAX_MESSAGE_SIZE)
            print("received", hex_groups(message))
            if not message or len(message) % 4:
                print(f"from {show(peer)}: {len(message)} octets are not a list of 32-bit integers", flush=True)
                continue
            integers = struct.unpack(f"{order}{len(message) // 4}I", message)
            # Python's integers have no width: the wrapping of C has to be written down.
            total = sum(integers) % 2**32
            print(f"from {show(peer)}: {len(integers)} integers, sum {total}", flush=True)
            try:
                sock.sendto(encode(total), peer)
            except OSError as error:
                print(f"to {show(peer)}: {error}", flush=True)


def integer(order):
    return lambda reply: struct.unpack(f"{order}I", reply)[0] if len(reply) == 4 else None


def text(reply):
    """One NUL after the digits is accepted; it is not part of the number."""
    digits = reply.removesuffix(b"\0")
    return digits.decode("ascii") if digits.isdigit() else None


# "!" is network order, "=" the order of this machine; both without padding.
SERVERS = {
    "sum-server": ("!", lambda total: struct.pack("!I", total)),
    "text-server": ("!", lambda total: str(total).encode("ascii")),
    "unswapped-server": ("=", lambda total: struct.pack("=I", total)),
}
CLIENTS = {
    "ask": ("!", integer("!")),
    "ask-text": ("!", text),
    "ask-unswapped": ("=", integer("=")),
    "ask-half-swapped": ("!", integer("=")),
}


def usage():
    print(f"usage: 2-integers.py {'|'.join(SERVERS)} IPV6-ADDRESS PORT", file=sys.stderr)
    print(f"       2-integers.py {'|'.join(CLIENTS)} IPV6-ADDRESS PORT [INTEGER...]", file=sys.stderr)
    sys.exit(2)


def main(words):
    try:
        mode, host, port, *numbers = words
        address = (str(ipaddress.IPv6Address(host)), int(port))
        numbers = [int(word) for word in numbers] or [1, 3, 5, 7, 9]
        in_range = 0 <= address[1] <= 65535 and all(0 <= number < 2**32 for number in numbers)
    except ValueError:
        usage()
    if in_range and mode in SERVERS:
        serve(address, *SERVERS[mode])
    elif in_range and mode in CLIENTS:
        ask(address, numbers, *CLIENTS[mode])
    else:
        usage()


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"2-integers.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
