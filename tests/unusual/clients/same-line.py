# unusual: what was asked stands before the result on the same line
import time

import asking
import calculator


def finish(found):
    if found not in ("error", None):
        print(f"{time.time()} {server[1]} {numbers[0]}: Result: {found}")
        raise SystemExit(0)
    calculator.finish(found)


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, finish=finish)
