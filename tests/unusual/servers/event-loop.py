# unusual: asyncio, each reply after up to 100 ms, so that replies overtake each other
import asyncio
import random
import sys

import calculator


class Protocol(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, datagram, client):
        if reply := calculator.answer(datagram):
            delay = random.uniform(0, 0.1)
            asyncio.get_running_loop().call_later(delay, self.transport.sendto, reply, client)


async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Protocol, local_addr=(sys.argv[1], int(sys.argv[2])))
    await asyncio.Event().wait()


asyncio.run(main())
