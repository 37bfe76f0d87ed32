# mistake: the product starts with 0
# finding: product
# says: starts with 0
import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if calculator.is_request(datagram) and datagram[0] >> 1 & 7 == 1:
        result = 0
        for operand in calculator.operands(datagram):
            result *= operand
        reply = b"\xff" + (b"%d" % result if datagram[0] & 1 else result.to_bytes(4, "big"))
    else:
        reply = calculator.answer(datagram)
    if reply:
        server.sendto(reply, client)
