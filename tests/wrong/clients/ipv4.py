# mistake: an IPv4 socket for an IPv6 address
# finding: sends
# says: gaierror
import socket

import calculator

operator, text, server, numbers = calculator.arguments()
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(calculator.request(operator, text, numbers), server)
calculator.finish(calculator.result(client.recv(65536), text))
