# mistake: a time-out that nobody catches
# finding: quiet
# says: TimeoutError
import calculator

server = calculator.bound_socket()
server.settimeout(4)
while True:
    datagram, client = server.recvfrom(1024)
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
