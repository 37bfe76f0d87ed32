# mistake: the result is read in little-endian order
# finding: integer-reply
# says: byte order
import asking
import calculator


def read(reply, text):
    found = calculator.result(reply, text)
    return int.from_bytes(reply[1:], "little") if isinstance(found, int) else found


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, read=read)
