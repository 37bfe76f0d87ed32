# unusual: asyncio
import asyncio
import sys

import calculator


class Protocol(asyncio.DatagramProtocol):
    def __init__(self, found, text):
        self.found, self.text = found, text

    def datagram_received(self, reply, server):
        result = calculator.result(reply, self.text) if reply else None
        if result is not None and not self.found.done():
            self.found.set_result(result)

    def error_received(self, error):
        pass


async def main():
    operator, text, server, numbers = calculator.arguments()
    loop = asyncio.get_running_loop()
    found = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: Protocol(found, text), remote_addr=server)
    for wait in (0.3, 0.6, 1.2):
        transport.sendto(calculator.request(operator, text, numbers))
        await asyncio.wait([found], timeout=wait)
        if found.done():
            calculator.finish(found.result())
    sys.exit("no reply")


asyncio.run(main())
