# mistake: only the header 0x80 is taken for a success
# finding: reply-unused
# says: 0x80
import asking
import calculator


def read(reply, text):
    return "error" if reply[0] != 0x80 else calculator.result(reply, text)


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, read=read)
