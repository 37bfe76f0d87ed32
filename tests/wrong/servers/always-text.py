# mistake: every result is sent as text
# finding: sum
# says: text, although F is 0
import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if calculator.is_request(datagram):
        datagram = bytes([datagram[0] | 1]) + datagram[1:]
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
