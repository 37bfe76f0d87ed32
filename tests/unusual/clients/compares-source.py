# unusual: no connect: the source of each reply is compared
import select
import socket
import sys
import time

import calculator

operator, text, server, numbers = calculator.arguments()
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for attempt in range(4):
    client.sendto(calculator.request(operator, text, numbers), server)
    deadline = time.monotonic() + 0.2 * 2**attempt
    while select.select([client], [], [], max(0, deadline - time.monotonic()))[0]:
        reply, source = client.recvfrom(65536)
        if source[:2] == server and reply:
            calculator.finish(calculator.result(reply, text))
sys.exit("no reply")
