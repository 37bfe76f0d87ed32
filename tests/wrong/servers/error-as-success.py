# mistake: an unknown opcode is answered by an empty success
# finding: unknown-opcode
# says: S is 1
import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    reply = calculator.answer(datagram)
    if reply == calculator.UNKNOWN and datagram[0] >> 1 & 7 > 1:
        reply = b"\x80"
    if reply:
        server.sendto(reply, client)
