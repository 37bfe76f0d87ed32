# mistake: it repeats forever
# finding: gives-up
# says: continued
import socket

import calculator

operator, text, server, numbers = calculator.arguments()
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.connect(server)
client.settimeout(0.3)
while True:
    client.send(calculator.request(operator, text, numbers))
    try:
        while True:
            reply = client.recv(65536)
            if reply:
                calculator.finish(calculator.result(reply, text))
    except TimeoutError:
        continue
