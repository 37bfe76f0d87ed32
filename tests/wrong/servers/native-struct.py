# mistake: struct without "!" pads: the format does not match the datagram, and the exception ends the server
# finding: answers
# says: struct.error
import struct

import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    header, *operands = struct.unpack(f"B{len(datagram) // 4}I", datagram)
    if reply := calculator.answer(bytes([header]) + struct.pack(f"!{len(operands)}I", *operands)):
        server.sendto(reply, client)
