# mistake: a time-out, but no second try
# finding: repeats
# says: TimeoutError
import socket

import calculator

operator, text, server, numbers = calculator.arguments()
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.connect(server)
client.settimeout(1)
client.send(calculator.request(operator, text, numbers))
while True:
    reply = client.recv(65536)
    if reply:
        calculator.finish(calculator.result(reply, text))
