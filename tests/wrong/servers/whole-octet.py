# mistake: the header is compared as a whole octet
# finding: unused-bits
# says: mask
import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    reply = calculator.answer(datagram)
    if reply and datagram[0] not in (0x00, 0x01, 0x02, 0x03):
        reply = calculator.UNKNOWN
    if reply:
        server.sendto(reply, client)
