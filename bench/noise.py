"""Sends garbage as fast as it is taken, over connections or as datagrams, for some seconds; says how many bytes a second were.

usage: noise.py tcp|udp HOST PORT COUNT SECONDS BYTES
  COUNT  connections, or sockets that send
  BYTES  what is sent again and again, in hex
"""

import selectors
import socket
import sys
import time

# Of a connection at once, and of a datagram.
CHUNK_BYTES, DATAGRAM_BYTES = 64 << 10, 1_400
# Sends between two looks at the time.
BURST = 64


def over_tcp(address, count, end, pattern):
    chunk = (pattern * (CHUNK_BYTES // len(pattern) + 1))[:CHUNK_BYTES]
    selector = selectors.DefaultSelector()
    for _ in range(count):
        client = socket.create_connection(address)
        client.setblocking(False)
        selector.register(client, selectors.EVENT_WRITE)
    sent = 0
    while time.monotonic() < end:
        for key, _ in selector.select(0.1):
            try:
                sent += key.fileobj.send(chunk)
            except BlockingIOError:
                pass
            except OSError:
                selector.unregister(key.fileobj)
    return sent


def over_udp(address, count, end, pattern):
    chunk = (pattern * (DATAGRAM_BYTES // len(pattern) + 1))[:DATAGRAM_BYTES]
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for client in clients:
        client.connect(address)
    sent = 0
    while time.monotonic() < end:
        for client in clients:
            for _ in range(BURST):
                sent += client.send(chunk)
    return sent


def main():
    kind, host, port, count, seconds, pattern = sys.argv[1:]
    send = {"tcp": over_tcp, "udp": over_udp}[kind]
    began = time.monotonic()
    sent = send((host, int(port)), int(count), began + float(seconds), bytes.fromhex(pattern))
    print(round(sent / (time.monotonic() - began)))


main()
