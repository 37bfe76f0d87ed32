# mistake: the result is global, and the next sum starts from it
# finding: sum
# says: earlier request
import calculator

total = 0
server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if calculator.is_request(datagram) and datagram[0] >> 1 & 7 == 0:
        total = (total + sum(calculator.operands(datagram))) % 2**32
        reply = b"\xff" + (b"%d" % total if datagram[0] & 1 else total.to_bytes(4, "big"))
    else:
        reply = calculator.answer(datagram)
    if reply:
        server.sendto(reply, client)
