# unusual: dates, ports and equations before and after the result, on the same stream
import datetime

import asking
import calculator


def finish(found):
    if found not in ("error", None):
        sign = f" {operator} "
        print(f"[{datetime.datetime.now()}] asked {server}")
        print(f"{sign.join(map(str, numbers))} =")
        print(f"Result: {found}")
        print("done in 3 ms", flush=True)
        raise SystemExit(0)
    calculator.finish(found)


operator, text, server, numbers = calculator.arguments()
asking.ask(server, calculator.request(operator, text, numbers), text, finish=finish)
