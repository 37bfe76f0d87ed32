"""Chapter 5 in Python: one echo service, five ways. "processes" needs fork(2), which Windows does not have."""
import os
import queue
import selectors
import signal
import socket
import sys
import threading
import time

BACKLOG = 1024
THREADS = 8
QUEUE = 16
quiet = False


# In one write each: print() writes the end of a line by itself, so that threads would mix theirs.


def say(line):
    if not quiet:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def complain(what, error):
    sys.stderr.write(f"{what}: {error}\n")


def accept_one(listener):
    """The next client, or None: nobody waits (only if `listener` is non-blocking), or accept failed."""
    try:
        client, peer = listener.accept()
    except BlockingIOError:
        return None
    except OSError as error:
        complain("accept", error)
        time.sleep(0.05)
        return None
    # Numeric: a question to DNS could take seconds, in which this server does nothing else.
    host, port = socket.getnameinfo(peer, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    say(f"Connected to ({host}, {port})")
    return client


def next_client(listener):
    while (client := accept_one(listener)) is None:
        pass
    return client


def echo(client):
    """Used by four of the five ways: sends back everything, until the client has closed its direction."""
    with client:
        try:
            while octets := client.recv(4096):
                say(f"server received {len(octets)} bytes")
                client.sendall(octets)
        except OSError as error:
            # An error of one client is not an error of the server.
            complain("client", error)


def iterative(listener):
    while True:
        echo(next_client(listener))


def processes(listener):
    def reap(*_):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    signal.signal(signal.SIGCHLD, reap)
    while True:
        client = next_client(listener)
        if os.fork() == 0:
            listener.close()
            echo(client)
            os._exit(0)
        client.close()


def threads(listener):
    while True:
        # The lock of the interpreter (GIL) lets one thread run at a time, but not while it waits in recv or send.
        threading.Thread(target=echo, args=(next_client(listener),), daemon=True).start()


def pool(listener):
    clients = queue.Queue(QUEUE)

    def work():
        while True:
            echo(clients.get())

    for _ in range(THREADS):
        threading.Thread(target=work, daemon=True).start()
    while True:
        # put waits while the queue is full.
        clients.put(next_client(listener))


class Client:
    """What a thread would keep on its stack: the socket, and what is not yet sent back."""

    def __init__(self, sock):
        self.sock = sock
        self.unsent = b""


def events(listener):
    """selectors uses epoll(7) on Linux and kqueue(2) on macOS. It is level-triggered: ready is reported again."""
    ready = selectors.DefaultSelector()
    listener.setblocking(False)
    ready.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.data is None:
                if sock := accept_one(listener):
                    sock.setblocking(False)
                    ready.register(sock, selectors.EVENT_READ, Client(sock))
            elif not advance(key.data, ready):
                ready.unregister(key.fileobj)
                key.fileobj.close()


def advance(client, ready):
    """One read or one write; False when the client has gone."""
    try:
        if not client.unsent:
            client.unsent = client.sock.recv(4096)
            if not client.unsent:
                return False
            say(f"server received {len(client.unsent)} bytes")
        client.unsent = client.unsent[client.sock.send(client.unsent) :]
    except BlockingIOError:
        pass
    except OSError as error:
        complain("client", error)
        return False
    # As long as something is unsent, nothing more is read: the client's own sends will stop.
    ready.modify(client.sock, selectors.EVENT_WRITE if client.unsent else selectors.EVENT_READ, client)
    return True


def talk(address):
    with socket.create_connection(address) as server:
        for line in sys.stdin.buffer:
            server.sendall(line)
            back = b""
            while len(back) < len(line):
                part = server.recv(len(line) - len(back))
                if not part:
                    raise OSError("the server closed the connection")
                back += part
            print(back.decode("utf-8", "replace"), end="", flush=True)


WAYS = {"iterative": iterative, "processes": processes, "threads": threads, "pool": pool, "events": events}


def usage():
    print("usage: 5-echo.py [-q] iterative|processes|threads|pool|events IPV6-ADDRESS PORT", file=sys.stderr)
    print("       5-echo.py client IPV6-ADDRESS PORT", file=sys.stderr)
    sys.exit(2)


def main(words):
    global quiet
    if words[:1] == ["-q"]:
        quiet, words = True, words[1:]
    if len(words) != 3 or not words[2].isdecimal() or int(words[2]) > 65535:
        usage()
    mode, address = words[0], (words[1], int(words[2]))
    if mode == "client":
        return talk(address)
    if mode not in WAYS:
        usage()
    with socket.create_server(address, family=socket.AF_INET6, backlog=BACKLOG) as listener:
        host, port = listener.getsockname()[:2]
        print(f"listening on [{host}]:{port}", file=sys.stderr)
        WAYS[mode](listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"5-echo.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
