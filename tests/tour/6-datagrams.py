"""Chapter 6 in Python: asks again when a datagram is lost, and keeps an account that must not be asked twice."""
import ipaddress
import signal
import socket
import struct
import sys
import time

FIRST_WAIT = 0.25
TRANSMISSIONS = 5


def request(numbers):
    """A classic request for the sum as an integer (chapter 3)."""
    return struct.pack(f"!B{len(numbers)}I", 0, *numbers)


def receive(sock, wait):
    """The integer of the next reply within `wait` seconds, or None. Other datagrams do not make the wait longer."""
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            reply = sock.recv(512)
        except socket.timeout:
            return None
        if len(reply) == 5 and reply[0] & 0x80:
            return struct.unpack("!I", reply[1:])[0]
    return None


def connect(peer):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.connect(peer)
    return sock


def ask(peer, numbers):
    """The same octets again, after longer and longer waits."""
    with connect(peer) as sock:
        wait = FIRST_WAIT
        for transmission in range(1, TRANSMISSIONS + 1):
            print("transmission", transmission, flush=True)
            sock.send(request(numbers))
            number = receive(sock, wait)
            if number is not None:
                print("Result:", number)
                return
            print(f"nothing for {wait * 1000:.0f} ms")
            wait *= 2
    sys.exit(f"6-datagrams.py: no reply to {TRANSMISSIONS} transmissions")


def burst(peer, count):
    """Asks for the sums 1, 2, 3, ... of a single operand each, so that each reply names its request."""
    with connect(peer) as sock:
        for number in range(1, count + 1):
            sock.send(request([number]))
            time.sleep(0.001)
        arrived = []
        while (number := receive(sock, 1)) is not None:
            arrived.append(number)
    first = list(dict.fromkeys(arrived))
    latest, overtaken = 0, []
    for number in first:
        if number < latest:
            overtaken.append(number)
        latest = max(latest, number)
    seen, repeated = set(), []
    for number in arrived:
        if number in seen:
            repeated.append(number)
        seen.add(number)
    lost = [number for number in range(1, count + 1) if number not in seen]
    for name, numbers in (("arrived", arrived), ("lost", lost), ("repeated", repeated), ("overtaken", overtaken)):
        print(f"{name}:", *(numbers or ["none"]))


def account(local):
    balance = 0
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(local)
        print(f"listening on [{local[0]}]:{sock.getsockname()[1]}", file=sys.stderr)
        while True:
            message, peer = sock.recvfrom(512)
            if not message or message[0] != 0:
                continue
            count = (len(message) - 1) // 4
            balance = (balance + sum(struct.unpack_from(f"!{count}I", message, 1))) % 2**32
            print(f"{len(message)} octets from [{peer[0]}]:{peer[1]}: the balance is {balance}", flush=True)
            try:
                sock.sendto(struct.pack("!BI", 0xFF, balance), peer)
            except OSError as error:
                print(f"to [{peer[0]}]:{peer[1]}: {error}", file=sys.stderr)


def usage():
    print("usage: 6-datagrams.py burst IPV6-ADDRESS PORT COUNT", file=sys.stderr)
    print("       6-datagrams.py ask IPV6-ADDRESS PORT INTEGER...", file=sys.stderr)
    print("       6-datagrams.py account IPV6-ADDRESS PORT", file=sys.stderr)
    sys.exit(2)


def main(words):
    try:
        mode, host, port, *numbers = words
        address = (str(ipaddress.IPv6Address(host)), int(port))
        numbers = [int(word) for word in numbers]
        if not 0 <= address[1] <= 65535 or not all(0 <= number < 2**32 for number in numbers):
            raise ValueError
    except ValueError:
        usage()
    if mode == "burst" and len(numbers) == 1 and 1 <= numbers[0] <= 10_000:
        burst(address, numbers[0])
    elif mode == "ask" and 1 <= len(numbers) <= 64:
        ask(address, numbers)
    elif mode == "account" and not numbers:
        account(address)
    else:
        usage()


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"6-datagrams.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
