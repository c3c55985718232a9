"""A process that publishes at a rate: `python -m tests.benchmarks.publisher PORT CHANNEL RATE SECONDS`.

It speaks to the server by itself: packing 50,000 commands a second with redis-py would take a core. Each payload has a
number and the time, `n=17 t=1767322800.123456`, and 60 bytes more. Prints one JSON object: sent, seconds it took.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import Any

TICK_SECONDS = 0.01
FILLER = "x" * 60


def begin(port: int, channel: str, rate: int, seconds: float) -> subprocess.Popen[str]:
    """Start one beside us; `ended` waits for it."""
    command = [sys.executable, "-m", "tests.benchmarks.publisher", str(port), channel, str(rate), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it says at its end: {"sent": messages, "seconds": as it took}."""
    out, _ = process.communicate(timeout=600)
    found: dict[str, Any] = json.loads(out)
    return found


def publish(port: int, channel: str, rate: int, seconds: float) -> tuple[int, float]:
    """(messages that the server has answered for, seconds it took): behind its rate it catches up."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        begun, sent, answered = time.monotonic(), 0, 0
        head = f"*3\r\n$7\r\nPUBLISH\r\n${len(channel)}\r\n{channel}\r\n"
        while sent < rate * seconds:
            due = min(int((time.monotonic() - begun) * rate), int(rate * seconds))
            now = time.time()
            payloads = [f"n={number} t={now:.6f} {FILLER}" for number in range(sent, due)]
            connection.sendall("".join(f"{head}${len(one)}\r\n{one}\r\n" for one in payloads).encode())
            sent = due
            answered += _answers(connection, sent - answered)
            time.sleep(max(TICK_SECONDS - (time.time() - now), 0))
        return answered, time.monotonic() - begun


def _answers(connection: socket.socket, wanted: int) -> int:
    """Read so many replies, each a number in a line."""
    found = 0
    while found < wanted:
        data = connection.recv(1 << 16)
        if not data:
            raise ConnectionError("The server has closed the connection.")
        found += data.count(b"\n")
    return found


def main() -> None:
    port, channel, rate, seconds = sys.argv[1:]
    sent, took = publish(int(port), channel, int(rate), float(seconds))
    print(json.dumps({"sent": sent, "seconds": took}))


if __name__ == "__main__":
    main()
