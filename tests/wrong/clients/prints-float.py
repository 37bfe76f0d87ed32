# mistake: the result is divided and multiplied on its way, and has become a float
# finding: integer-reply
# says: 25.0
import asking
import calculator


def read(reply, text):
    found = calculator.result(reply, text)
    return float(found) if isinstance(found, int) else found


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, read=read)
