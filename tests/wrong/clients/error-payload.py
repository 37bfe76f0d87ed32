# mistake: the payload of an error is printed as a result
# finding: error-reply
# says: S is 0
import asking
import calculator


def read(reply, text):
    return calculator.result(bytes([reply[0] | 0x80]) + reply[1:], text)


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, read=read)
