# unusual: it listens two seconds after its start
import time

import calculator

time.sleep(2)
server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(65536)
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
