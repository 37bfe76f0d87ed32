# mistake: text is printed as the bytes that it came in
# finding: text-reply
# says: decode
import asking
import calculator


def read(reply, text):
    found = calculator.result(reply, text)
    return found.encode() if text and found not in ("error", None) else found


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, read=read)
