# unusual: one request at a time, each of which takes 40 ms
import time

import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(65536)
    time.sleep(0.04)
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
