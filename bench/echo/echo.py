#!/usr/bin/env python3
"""Sends everything back, with asyncio or uvloop. Does no work.

echo.py [--loop asyncio|uvloop] [--tcp] ADDR FIRST_PORT COUNT, until it is killed.
"""

import argparse
import asyncio
import socket

RECEIVE_BUFFER_BYTES = 4 << 20
BACKLOG = 4096


class Datagrams(asyncio.DatagramProtocol):
    """One socket."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


class Stream(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve(args):
    loop = asyncio.get_running_loop()
    kept = []
    for port in range(args.port, args.port + args.count):
        if args.tcp:
            kept.append(await loop.create_server(Stream, args.addr, port, backlog=BACKLOG))
            continue
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.bind((args.addr, port))
        kept.append(await loop.create_datagram_endpoint(Datagrams, sock=sock))
    print(f"ready: {len(kept)} sockets", flush=True)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--tcp", action="store_true", help="connections instead of datagrams")
    parser.add_argument("addr")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    args = parser.parse_args()
    if args.loop == "uvloop":
        import uvloop

        uvloop.run(serve(args))
    else:
        asyncio.run(serve(args))


if __name__ == "__main__":
    main()
