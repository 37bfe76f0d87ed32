# unusual: it writes terminal sequences and very long lines to both of its outputs
import sys

import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(65536)
    print("\x1b[2J\x1b]0;title\x07" + "x" * 10_000, datagram, client)
    print("\x1b[31mred", file=sys.stderr, flush=True)
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
