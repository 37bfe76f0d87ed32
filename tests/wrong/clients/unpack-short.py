# mistake: struct.unpack of a reply that is too short is an exception that ends the client
# finding: truncated
# says: struct.error
import struct

import asking
import calculator


def read(reply, text):
    if not text and reply[0] & 0x80 and len(reply) < 5:
        struct.unpack("!I", reply[1:])
    return calculator.result(reply, text)


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, read=read)
