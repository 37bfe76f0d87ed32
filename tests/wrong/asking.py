"""The exchange of a right client in Python, for programs whose mistake is elsewhere."""
import socket
import sys
import time

import calculator

TRIES = 3


def ask(server, request, text, finish=calculator.finish, read=calculator.result):
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.connect(server)
    for attempt in range(TRIES):
        client.send(request)
        deadline = time.monotonic() + 0.25 * 2**attempt
        while (left := deadline - time.monotonic()) > 0:
            client.settimeout(left)
            try:
                reply = client.recv(65536)
            except TimeoutError:
                break
            finish(read(reply, text) if reply else None)
    sys.exit("no reply")
