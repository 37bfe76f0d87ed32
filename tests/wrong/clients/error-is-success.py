# mistake: an error is said, and the exit status is 0
# finding: error-status
# says: exit status 0
import sys

import asking
import calculator


def finish(found):
    if found == "error":
        print("the server reports an error", file=sys.stderr)
        sys.exit(0)
    calculator.finish(found)


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, finish=finish)
