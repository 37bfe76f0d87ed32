# mistake: a table of operations without a default: an unknown opcode is an exception
# finding: survives
# says: KeyError
import math

import calculator

OPERATIONS = {0: sum, 1: math.prod}

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if calculator.is_request(datagram):
        OPERATIONS[datagram[0] >> 1 & 7](calculator.operands(datagram))
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
