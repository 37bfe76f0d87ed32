"""Chapter 4 in Python: frames of a 32-bit length in network order and that many octets."""
import socket
import struct
import sys
import time

MAX_FRAME = 65536
HELP = """\
server is active.

commands:
  help  this text
  stop  the server closes this connection
quit ends the client"""


def read_exactly(sock, count):
    """`count` octets, or None if the peer closed before the first. recv returns what has arrived, possibly less."""
    octets = b""
    while len(octets) < count:
        part = sock.recv(count - len(octets))
        if not part and not octets:
            return None
        if not part:
            raise OSError("the stream ended within a frame")
        octets += part
    return octets


def read_frame(sock):
    """The next frame's text, or None if the peer closed between two frames."""
    prefix = read_exactly(sock, 4)
    if prefix is None:
        return None
    (length,) = struct.unpack("!I", prefix)
    if length > MAX_FRAME:
        raise OSError(f"a frame of {length} octets; at most {MAX_FRAME} are accepted")
    octets = read_exactly(sock, length) if length else b""
    if octets is None:
        raise OSError("the stream ended within a frame")
    return octets.decode("utf-8", "replace")


def write_frame(sock, text):
    octets = text.encode("utf-8")
    # sendall repeats send(2) until everything is taken.
    sock.sendall(struct.pack("!I", len(octets)) + octets)


def converse(client):
    while (command := read_frame(client)) is not None:
        if command == "help":
            write_frame(client, HELP)
        elif command == "stop":
            return write_frame(client, "closing server connection")
        else:
            write_frame(client, "invalid command (try help).")


def serve(host, port):
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    # create_server sets SO_REUSEADDR where that is safe (not on Windows, where it means something else).
    with socket.create_server((host, port), family=family) as listener:
        host, port = listener.getsockname()[:2]
        print(f"listening on [{host}]:{port}" if ":" in host else f"listening on {host}:{port}", file=sys.stderr)
        while True:
            try:
                client, peer = listener.accept()
            except OSError as error:
                print(f"accept: {error}", file=sys.stderr)
                time.sleep(0.05)
                continue
            print(f"Connection received from {peer[0]}", flush=True)
            with client:
                try:
                    converse(client)
                except OSError as error:
                    # An error of one client is not an error of the server.
                    print(f"{peer[0]} port {peer[1]}: {error}", file=sys.stderr)


def talk(host, port):
    # create_connection tries every address that getaddrinfo(3) finds.
    with socket.create_connection((host, port)) as server:
        while True:
            if sys.stdin.isatty():
                print("Enter command: ", end="", flush=True)
            command = sys.stdin.readline()
            if not command or command == "quit\n":
                return
            command = command.rstrip("\n")
            write_frame(server, command)
            answer = read_frame(server)
            if answer is None:
                raise OSError("the server closed the connection")
            print(answer, flush=True)
            if command == "stop":
                return


def usage():
    print("usage: 4-commands.py server|client HOST PORT", file=sys.stderr)
    sys.exit(2)


def main(words):
    modes = {"server": serve, "client": talk}
    if len(words) != 3 or words[0] not in modes or not words[2].isdecimal() or int(words[2]) > 65535:
        usage()
    modes[words[0]](words[1], int(words[2]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"4-commands.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
