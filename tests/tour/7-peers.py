"""Chapter 7 in Python: a tracker, and a peer that fetches and serves the chunks of a file. See docs/tour/7-peers.md."""
import hashlib
import os
import socket
import sys
import threading
import time

TITLE = "chunks 1"
CHUNK_SIZE = 64 * 1024
MAX_CHUNK_SIZE = 1024 * 1024
# Seconds after which a silent peer is given up, so that nobody can keep a thread busy for ever.
TIMEOUT = 10
# The tracker forgets a peer after LIFETIME seconds; the peer registers again well before that.
LIFETIME = 60
REGISTER_EVERY = 20
MAX_PEERS, MAX_FILES = 100, 1000
MAX_CLIENTS = 32
# Seconds before the tracker, or a peer without news, is asked again; and before a peer that failed is tried again.
PAUSE, RETRY = 0.2, 5


def say(line, stream=sys.stdout):
    """Prints a line in one write: print() writes the end of a line by itself, so that threads would mix theirs."""
    stream.write(line + "\n")
    stream.flush()


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


def show(address):
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text):
    """[HOST]:PORT or HOST:PORT as a pair; ValueError if it is neither."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def read_line(stream, limit):
    """The next line without its end; None at the end of the stream. OSError for a line of more than `limit` octets."""
    line = stream.readline(limit + 1)
    if not line:
        return None
    if not line.endswith(b"\n"):
        raise OSError("a line without an end, or too long")
    return line[:-1].decode("utf-8", "replace")


# The sidecar: a text file that describes a file without containing any of it.


def describe(path):
    """Writes FILE.chunks beside FILE and returns the file's ID."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        hashes = []
        while chunk := file.read(CHUNK_SIZE):
            hashes.append(sha256(chunk))
    text = "".join(f"{line}\n" for line in (TITLE, f"size {size}", f"chunk-size {CHUNK_SIZE}", *hashes))
    with open(path + ".chunks", "w", newline="\n") as sidecar:
        sidecar.write(text)
    return sha256(text.encode())


class Store:
    """The file on disk, and the state of each chunk. Threads that serve and threads that fetch share it."""

    MISSING, COMING, HERE = range(3)

    def __init__(self, sidecar):
        if not sidecar.endswith(".chunks"):
            raise OSError("the name of a sidecar ends in .chunks")
        with open(sidecar, "rb") as file:
            text = file.read()
        self.id = sha256(text)
        try:
            title, size, chunk_size, *self.hashes = text.decode("ascii").splitlines()
            self.size, self.chunk_size = int(size.removeprefix("size ")), int(chunk_size.removeprefix("chunk-size "))
        except ValueError:
            raise OSError(f"{sidecar} is not a sidecar") from None
        right = title == TITLE and 1 <= self.chunk_size <= MAX_CHUNK_SIZE and self.size >= 0
        # The number of chunks is rounded up: the last one may be shorter.
        right = right and len(self.hashes) == -(-self.size // self.chunk_size)
        if not right or any(len(one) != 64 for one in self.hashes):
            raise OSError(f"{sidecar} is not a sidecar")
        path = sidecar.removesuffix(".chunks")
        self.file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
        length = os.fstat(self.file.fileno()).st_size
        if length > self.size:
            raise OSError(f"the file has {length} octets, the sidecar says {self.size}")
        self.file.truncate(self.size)
        self.lock = threading.Lock()
        self.states = [self.MISSING] * len(self.hashes)
        for index in range(len(self.hashes)):
            if self.verifies(index, self.read_chunk(index)):
                self.states[index] = self.HERE

    def length(self, index):
        """Octets of a chunk: all have the same size but the last."""
        return min(self.chunk_size, self.size - index * self.chunk_size)

    def verifies(self, index, octets):
        return len(octets) == self.length(index) and sha256(octets) == self.hashes[index]

    def read_chunk(self, index):
        self.file.seek(index * self.chunk_size)
        return self.file.read(self.length(index))

    def count(self):
        return self.states.count(self.HERE), len(self.states)

    def complete(self):
        here, all_chunks = self.count()
        return here == all_chunks

    def bitmap(self):
        with self.lock:
            return "".join("1" if state == self.HERE else "0" for state in self.states)

    def read(self, index):
        """A chunk's octets, or None if it is not here."""
        with self.lock:
            if 0 <= index < len(self.states) and self.states[index] == self.HERE:
                return self.read_chunk(index)
        return None

    def claim(self, offered):
        """Chooses a chunk that is missing here, offered by a peer's bitmap, and fetched by no other thread; or None."""
        with self.lock:
            for index, (state, bit) in enumerate(zip(self.states, offered)):
                if state == self.MISSING and bit == "1":
                    self.states[index] = self.COMING
                    return index
        return None

    def release(self, index):
        """Ends a claim: what has not come is free for another thread."""
        with self.lock:
            if self.states[index] == self.COMING:
                self.states[index] = self.MISSING

    def fulfil(self, index, octets):
        """Writes the octets if they are the chunk; False if they are not."""
        if not self.verifies(index, octets):
            return False
        with self.lock:
            self.file.seek(index * self.chunk_size)
            self.file.write(octets)
            self.file.flush()
            self.states[index] = self.HERE
        return True


# The tracker, and what peers ask of it.


class Tracker:
    def __init__(self):
        self.lock = threading.Lock()
        # ID -> address -> when it was last heard of.
        self.files = {}

    def enrol(self, file_id, peer):
        """Notes a peer; False if there is no room."""
        now = time.monotonic()
        for one in list(self.files):
            self.files[one] = {peer: heard for peer, heard in self.files[one].items() if now - heard < LIFETIME}
            if not self.files[one]:
                del self.files[one]
        if len(self.files) >= MAX_FILES and file_id not in self.files:
            return False
        peers = self.files.setdefault(file_id, {})
        if len(peers) >= MAX_PEERS and peer not in peers:
            return False
        peers[peer] = now
        return True

    def answer(self, line, host):
        words = line.split(" ")
        is_id = len(words) > 1 and len(words[1]) == 64 and all(c in "0123456789abcdefABCDEF" for c in words[1])
        port = int(words[2]) if len(words) == 3 and words[2].isdecimal() else -1
        peer = (host, port)
        with self.lock:
            if words[0] == "register" and is_id and 0 <= port <= 65535 and self.enrol(words[1], peer):
                return f"registered {show(peer)}\n"
            listing = words[0] == "list" and is_id
            # With a port, asking for the list also enrols.
            if listing and (len(words) == 2 or (0 <= port <= 65535 and self.enrol(words[1], peer))):
                now = time.monotonic()
                peers = self.files.get(words[1], {})
                return "".join(f"{show(one)}\n" for one, heard in peers.items() if now - heard < LIFETIME)
        return "error\n"

    def serve(self, client, host):
        with client:
            try:
                client.settimeout(TIMEOUT)
                line = read_line(client.makefile("rb"), 128)
                if line is not None:
                    client.sendall(self.answer(line, host).encode())
            except OSError as error:
                say(f"{host}: {error}", sys.stderr)


def track(host, port):
    tracker = Tracker()
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    with socket.create_server((host, port), family=family) as listener:
        say(f"listening on {show(listener.getsockname())}", sys.stderr)
        while True:
            try:
                client, peer = listener.accept()
            except OSError as error:
                say(f"accept: {error}", sys.stderr)
                time.sleep(0.05)
                continue
            threading.Thread(target=tracker.serve, args=(client, peer[0]), daemon=True).start()


def ask_tracker(tracker, request):
    with socket.create_connection(tracker, timeout=TIMEOUT) as stream:
        stream.sendall(request.encode())
        answer = stream.makefile("rb").read(64 * MAX_PEERS)
    return answer.decode("ascii", "replace")


def register(tracker, file_id, port):
    """Registers us, and returns the address by which others know us."""
    answer = ask_tracker(tracker, f"register {file_id} {port}\n")
    if not answer.startswith("registered "):
        raise OSError("the tracker did not register us")
    return parse_address(answer.removeprefix("registered ").rstrip())


def list_peers(tracker, file_id, port):
    """The peers of a file. The tracker enrols us at the same time."""
    answer = ask_tracker(tracker, f"list {file_id} {port}\n")
    return [parse_address(line) for line in answer.splitlines() if ":" in line]


# A peer as a server.


def answer(client, store):
    """Answers the requests of one peer until it closes the connection."""
    requests = client.makefile("rb")
    while (line := read_line(requests, 128)) is not None:
        words = line.split(" ")
        chunk = None
        if words == ["have", store.id]:
            client.sendall(f"have {store.bitmap()}\n".encode())
            continue
        if len(words) == 3 and words[:2] == ["get", store.id] and words[2].isdecimal():
            chunk = store.read(int(words[2]))
        if chunk is None:
            client.sendall(b"error\n")
        else:
            client.sendall(f"chunk {len(chunk)}\n".encode() + chunk)


def serve(listener, store):
    """A thread for each peer that asks, at most MAX_CLIENTS at once."""
    places = threading.Semaphore(MAX_CLIENTS)

    def serve_one(client, peer):
        with client:
            try:
                client.settimeout(TIMEOUT)
                answer(client, store)
            except OSError as error:
                say(f"{show(peer)}: {error}", sys.stderr)
            finally:
                places.release()

    while True:
        try:
            client, peer = listener.accept()
        except OSError as error:
            say(f"accept: {error}", sys.stderr)
            time.sleep(0.05)
            continue
        if places.acquire(blocking=False):
            threading.Thread(target=serve_one, args=(client, peer), daemon=True).start()
        else:
            client.close()


# A peer as a client.


class Lie(Exception):
    """A peer sent something else than the chunk."""


def fetch_chunk(stream, answers, store, index):
    """Asks one peer for one chunk and writes it. OSError if it does not come, Lie if the octets are wrong."""
    stream.sendall(f"get {store.id} {index}\n".encode())
    if read_line(answers, 32) != f"chunk {store.length(index)}":
        raise OSError("it does not send a chunk that it said it has")
    octets = answers.read(store.length(index))
    if len(octets) < store.length(index):
        raise OSError("the stream ended within a chunk")
    if not store.fulfil(index, octets):
        raise Lie(f"chunk {index}")


def fetch_from(peer, store):
    """Takes from one peer whatever it has and we lack, until we lack nothing. OSError or Lie if that fails."""
    with socket.create_connection(peer, timeout=TIMEOUT) as stream:
        answers = stream.makefile("rb")
        while not store.complete():
            stream.sendall(f"have {store.id}\n".encode())
            line = read_line(answers, len(store.states) + 8)
            if line is None or not line.startswith("have "):
                raise OSError("it does not have this file")
            while (index := store.claim(line.removeprefix("have "))) is not None:
                try:
                    fetch_chunk(stream, answers, store, index)
                finally:
                    store.release(index)
                say(f"chunk {index} from {show(peer)}")
            time.sleep(PAUSE)


def fetch(store, tracker, own):
    """A thread for each peer that the tracker lists, until the file is complete."""
    sources, avoided = {}, {}

    def fetch_from_one(peer):
        avoided[peer] = time.monotonic() + RETRY
        try:
            fetch_from(peer, store)
        except Lie as lie:
            say(f"{lie} from {show(peer)} is not what the sidecar says: no more from there")
            avoided[peer] = float("inf")
        except OSError as error:
            say(f"{show(peer)}: {error}", sys.stderr)
            avoided[peer] = time.monotonic() + RETRY
        finally:
            del sources[peer]

    while not store.complete():
        try:
            peers = list_peers(tracker, store.id, own[1])
        except (OSError, ValueError) as error:
            say(f"tracker: {error}", sys.stderr)
            peers = []
        for peer in peers:
            if peer != own and peer not in sources and avoided.get(peer, 0) < time.monotonic():
                sources[peer] = threading.Thread(target=fetch_from_one, args=(peer,), daemon=True)
                sources[peer].start()
        time.sleep(PAUSE)


def run_peer(host, port, sidecar, stay):
    store = Store(sidecar)
    tracker = (host, port)
    # The address by which the tracker sees us is one by which other peers can reach us.
    with socket.create_connection(tracker, timeout=TIMEOUT) as stream:
        family, local = stream.family, stream.getsockname()[0]
    listener = socket.create_server((local, 0), family=family)
    port = listener.getsockname()[1]
    own = register(tracker, store.id, port)
    here, all_chunks = store.count()
    say(f"listening on {show(own)}", sys.stderr)
    say(f"{here} of {all_chunks} chunks are here", sys.stderr)

    def stay_registered():
        while True:
            time.sleep(REGISTER_EVERY)
            try:
                register(tracker, store.id, port)
            except OSError as error:
                say(f"tracker: {error}", sys.stderr)

    threading.Thread(target=serve, args=(listener, store), daemon=True).start()
    threading.Thread(target=stay_registered, daemon=True).start()
    fetch(store, tracker, own)
    say("complete")
    while stay:
        time.sleep(3600)


def usage():
    say(f"usage: {NAME} tracker HOST PORT", sys.stderr)
    say(f"       {NAME} describe FILE", sys.stderr)
    say(f"       {NAME} share|fetch TRACKER-HOST TRACKER-PORT FILE.chunks", sys.stderr)
    sys.exit(2)


def main(words):
    mode, rest = (words[0], words[1:]) if words else ("", [])
    if mode == "describe" and len(rest) == 1:
        return print(describe(rest[0]))
    if len(rest) < 2 or not rest[1].isdecimal() or int(rest[1]) > 65535:
        usage()
    host, port = rest[0], int(rest[1])
    if mode == "tracker" and len(rest) == 2:
        track(host, port)
    elif mode in ("share", "fetch") and len(rest) == 3:
        run_peer(host, port, rest[2], stay=mode == "share")
    else:
        usage()


NAME = os.path.basename(sys.argv[0])

if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
