# mistake: a range that leaves the last operand out
# finding: sum
# says: last operand
import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if calculator.is_request(datagram) and len(datagram) > 5:
        datagram = datagram[:-4]
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
