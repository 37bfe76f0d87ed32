# unusual: errors come 100 ms later than results, from threads
import threading

import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(65536)
    if reply := calculator.answer(datagram):
        delay = 0.1 if reply == calculator.UNKNOWN else 0
        threading.Timer(delay, server.sendto, (reply, client)).start()
