# mistake: recvfrom with room for 128 octets
# finding: 64-operands
# says: recv
import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(128)
    if len(datagram) == 128:
        datagram = datagram[:125]
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
