# mistake: operands packed in little-endian order
# finding: sum-request
# says: little-endian
import struct

import asking
import calculator

operator, text, server, numbers = calculator.arguments()
request = calculator.request(operator, text, numbers)
asking.ask(server, request[:1] + struct.pack(f"<{len(numbers)}I", *numbers), text)
