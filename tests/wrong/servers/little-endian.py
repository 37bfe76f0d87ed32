# mistake: operands unpacked in little-endian order
# finding: sum
# says: operands are read in little-endian order
import struct

import calculator

server = calculator.bound_socket()
while True:
    datagram, client = server.recvfrom(1024)
    if calculator.is_request(datagram):
        operands = struct.unpack(f"<{len(datagram) // 4}I", datagram[1:])
        datagram = datagram[:1] + struct.pack(f"!{len(operands)}I", *operands)
    if reply := calculator.answer(datagram):
        server.sendto(reply, client)
