"""python -m tests.benchmarks.foreground PORT SECONDS: what a neighbour's GET takes meanwhile, as JSON.

A process of its own, so that nobody's interpreter lock counts. It sends a GET each millisecond or so, over a plain
socket, and takes the time from sending to the answer: the server's delay, not that of our own waking up.
"""

from __future__ import annotations

import gc
import json
import random
import socket
import sys
import time

PACE = 0.001  # seconds from one GET to the next
HOST = "127.0.0.1"


def main(port: int, seconds: float) -> None:
    dice = random.Random(7)
    gc.disable()
    took: list[float] = []
    with socket.create_connection((HOST, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.perf_counter() + seconds
        due = time.perf_counter()
        while due < until:
            time.sleep(max(due - time.perf_counter(), 0))
            key = b"api:user:%d" % (dice.randrange(200_000) * 5)
            request = b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key)
            sent = time.perf_counter()
            connection.sendall(request)
            connection.recv(4096)  # one answer is far smaller than one segment on loopback
            took.append((time.perf_counter() - sent) * 1000)
            due = max(due + PACE, sent)
    took.sort()
    print(json.dumps({"count": len(took), "p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
