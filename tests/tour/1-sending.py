"""Chapter 1 in Python: the same modes and the same output as the Rust program."""
import ipaddress
import os
import signal
import socket
import sys

MAX_MESSAGE_SIZE = 2500


def show(address):
    """A socket address as RFC 5952, section 6, writes it."""
    return f"[{address[0]}]:{address[1]}"


def print_octets(octets):
    printable = lambda octet: chr(octet) if 0x20 <= octet < 0x7F else "."
    print(f"received {len(octets)} octets:")
    print(" ".join(f"0x{octet:02x} ('{printable(octet)}')" for octet in octets))


def send(peer):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sent = sock.sendto(b"hello", peer)
        print(f"sent {sent} octets to {show(peer)}")


def connected(peer):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        sock.settimeout(5)
        sent = sock.send(b"hello")
        print(f"sent {sent} octets from {show(sock.getsockname())} to {show(peer)}", flush=True)
        print_octets(sock.recv(MAX_MESSAGE_SIZE))


def receive(local, show_peer=False, answer=False):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(local)
        print(f"listening on {show(sock.getsockname())}", file=sys.stderr)
        octets, peer = sock.recvfrom(MAX_MESSAGE_SIZE)
        print_octets(octets)
        if show_peer:
            print(f"from {show(peer)}")
        if answer:
            sock.sendto(b"hello yourself", peer)


def send_unix(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        print(f"sent {sock.sendto(b'hello', path)} octets to {path}")


def receive_unix(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        print(f"listening on {path}", file=sys.stderr)
        try:
            octets = sock.recv(MAX_MESSAGE_SIZE)
        finally:
            os.unlink(path)
        print_octets(octets)


MODES = {
    "send": send,
    "receive": receive,
    "receive-from": lambda local: receive(local, show_peer=True),
    "connected": connected,
    "answer": lambda local: receive(local, show_peer=True, answer=True),
}
UNIX_MODES = {"send-unix": send_unix, "receive-unix": receive_unix}


def usage():
    print("usage: 1-sending.py send|receive|receive-from|connected|answer IPV6-ADDRESS PORT", file=sys.stderr)
    print("       1-sending.py send-unix|receive-unix PATH", file=sys.stderr)
    sys.exit(2)


def main(words):
    if len(words) == 2 and words[0] in UNIX_MODES:
        if not hasattr(socket, "AF_UNIX"):
            sys.exit("1-sending.py: this system has no AF_UNIX datagrams")
        return UNIX_MODES[words[0]](words[1])
    try:
        mode, host, port = words
        address = (str(ipaddress.IPv6Address(host)), int(port))
        action = MODES[mode]
        if not 0 <= address[1] <= 65535:
            raise ValueError
    except (ValueError, KeyError):
        usage()
    return action(address)


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        # As in C, the program ends when nobody reads its output (`| head -1`).
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"1-sending.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
