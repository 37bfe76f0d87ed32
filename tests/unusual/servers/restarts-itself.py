# unusual: a time-out of one second, which it handles by going on
import calculator

server = calculator.bound_socket()
server.settimeout(1)
while True:
    try:
        datagram, client = server.recvfrom(65536)
    except TimeoutError:
        continue
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
