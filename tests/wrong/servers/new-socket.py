# mistake: the reply leaves from a new socket
# finding: source-port
# says: socket that received
import socket

import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if reply := calculator.answer(datagram):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.sendto(reply, client)
