# mistake: socketserver's servers are IPv4 unless told otherwise, and an IPv6 address ends this one
# finding: answers
# says: gaierror
import socketserver
import sys

import calculator


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        datagram, server = self.request
        if reply := calculator.answer(datagram):
            server.sendto(reply, self.client_address)


with socketserver.UDPServer((sys.argv[1], int(sys.argv[2])), Handler) as server:
    server.serve_forever()
