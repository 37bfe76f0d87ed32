# unusual: a loop over selectors, and a socket that does not block
import selectors

import calculator

server = calculator.bound_socket()
server.setblocking(False)
selector = selectors.DefaultSelector()
selector.register(server, selectors.EVENT_READ)
while True:
    for key, events in selector.select(timeout=1):
        try:
            while True:
                datagram, client = server.recvfrom(2048)
                if reply := calculator.answer(datagram):
                    server.sendto(reply, client)
        except BlockingIOError:
            pass
