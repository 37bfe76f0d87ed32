"""Chapter 4 in Python: names and addresses, one message each way, and a host that greets its callers."""
import socket
import struct
import sys
import time

MAX_MESSAGE = 255


def show(address):
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def clock(seconds):
    second = seconds % 86400
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02} UTC"


def lookup(host, port):
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        print(show(address))


def name(address, port):
    host, service = socket.getnameinfo((address, port), 0)
    print(f"host {host}, service {service}")


def serve(host, port, take, once=False):
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    with socket.create_server((host, port), family=family) as listener:
        print(f"listening on {show(listener.getsockname())}", file=sys.stderr)
        while True:
            try:
                client, peer = listener.accept()
            except OSError as error:
                print(f"accept: {error}", file=sys.stderr)
                time.sleep(0.05)
                continue
            failed = False
            with client:
                try:
                    take(client, show(peer))
                    close_after_answer(client)
                except OSError as error:
                    # An error of one client is not an error of the server.
                    print(f"{show(peer)}: {error}", file=sys.stderr)
                    failed = True
            if once:
                sys.exit(1 if failed else 0)


def close_after_answer(client):
    """close(2) with octets that nobody has read sends RST, and the client may lose our answer: read them first."""
    client.shutdown(socket.SHUT_WR)
    client.settimeout(1)
    try:
        for _ in range(64):
            if not client.recv(1024):
                break
    except OSError:
        pass


def take_message(client, peer):
    message = client.recv(MAX_MESSAGE)
    print("Here is the message:", message.removesuffix(b"\n").decode("utf-8", "replace"), flush=True)
    client.sendall(b"I got your message")


def take_call(client, peer):
    """Greets, waits for two lines, says Bye."""
    client.sendall(f"Hello {peer}, it is {clock(int(time.time()))}\n".encode())
    words = b""
    while words.count(b"\n") < 2 and len(words) < MAX_MESSAGE:
        part = client.recv(MAX_MESSAGE - len(words))
        if not part:
            break
        words += part
    lines = words.split(b"\n")
    if len(lines) < 3 or not lines[0].strip().lstrip(b"-").isdigit():
        raise OSError("expected the time in seconds since 1970 and a greeting, a line each")
    greeting = lines[1].rstrip(b"\r").decode("utf-8", "replace")
    print(f"{peer} called at {clock(int(lines[0]))} and says: {greeting}", flush=True)
    client.sendall(b"Bye\n")


def take_time_t(client, peer):
    """The same for a caller that sends its time_t as it lies in the memory of a 64-bit machine like this one."""
    client.sendall(f"Hello {peer}, it is {clock(int(time.time()))}\n".encode())
    octets = b""
    while len(octets) < 8:
        part = client.recv(8 - len(octets))
        if not part:
            raise OSError("the stream ended within the time")
        octets += part
    print(f"{peer} called at {clock(struct.unpack('=q', octets)[0])}", flush=True)
    client.sendall(b"Bye\n")


def read_to_end(server):
    octets = b""
    while part := server.recv(4096):
        octets += part
    return octets.decode("utf-8", "replace")


def say(host, port, text=None):
    with socket.create_connection((host, port)) as server:
        if text is None:
            print("Please enter the message: ", end="", flush=True)
            line = sys.stdin.readline()
            if not line:
                return
        else:
            line = text + "\n"
        server.sendall(line.encode())
        print(read_to_end(server))


def call(host, port, words):
    with socket.create_connection((host, port)) as server:
        server.sendall(words)
        # Closes only our direction: the host sees the end of our words and can still answer.
        server.shutdown(socket.SHUT_WR)
        print(read_to_end(server), end="")


def usage():
    for line in (
        "usage: 4-messages.py lookup HOST PORT",
        "       4-messages.py name ADDRESS PORT",
        "       4-messages.py listen [--once] HOST PORT",
        "       4-messages.py say HOST PORT [TEXT]",
        "       4-messages.py host [--time-t] HOST PORT",
        "       4-messages.py call HOST PORT TEXT",
        "       4-messages.py call --time-t HOST PORT",
    ):
        print(line, file=sys.stderr)
    sys.exit(2)


def main(words):
    mode = words[0] if words else ""
    option = words[1] if len(words) > 1 and words[1] in ("--once", "--time-t") else ""
    rest = words[2:] if option else words[1:]
    if len(rest) < 2 or not rest[1].isdecimal() or int(rest[1]) > 65535:
        usage()
    host, port, text = rest[0], int(rest[1]), rest[2:]
    now = int(time.time())
    form = (mode, option, len(text))
    if form == ("lookup", "", 0):
        lookup(host, port)
    elif form == ("name", "", 0):
        name(host, port)
    elif form in (("listen", "", 0), ("listen", "--once", 0)):
        serve(host, port, take_message, once=option == "--once")
    elif form in (("say", "", 0), ("say", "", 1)):
        say(host, port, *text)
    elif form == ("host", "", 0):
        serve(host, port, take_call)
    elif form == ("host", "--time-t", 0):
        serve(host, port, take_time_t)
    elif form == ("call", "", 1):
        call(host, port, f"{now}\n{text[0]}\n".encode())
    elif form == ("call", "--time-t", 0):
        call(host, port, struct.pack("=q", now))
    else:
        usage()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"4-messages.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
