# mistake: the reply is the number alone
# finding: success
# says: header octet
import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if reply := calculator.answer(datagram):
        server.sendto(reply[1:] or reply, client)
