# unusual: a thread for each request, all of them delayed at random
import random
import threading
import time

import calculator


def serve(datagram, client):
    time.sleep(random.uniform(0, 0.05))
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)


server = calculator.bound_socket()
while True:
    threading.Thread(target=serve, args=server.recvfrom(65536)).start()
