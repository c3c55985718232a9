"""Open consoles as one process reads them: `python -m tests.benchmarks.consoles PORT NUMBER PATH`.

Its input begins with the cookie. It says `open` when every stream has begun, reads until another line
comes, and then prints one JSON object. A hundred browsers would want more than two cores for themselves; what these
streams send is taken apart once, and counted for each of them.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

READ_BYTES = 1 << 18
_ROW = re.compile(rb'event-payload">n=(\d+) t=([\d.]+) ')
_COUNTS = re.compile(rb'hx-target="#event-counts".*?>(.*?)</hx-partial>', re.DOTALL)
_TAG = re.compile(rb"<[^>]*>")


@dataclass(frozen=True)
class Message:
    """What one message of a stream has: numbers of its rows, rising; when they were published; its counts."""

    numbers: tuple[int, ...]
    times: tuple[float, ...]
    counts: tuple[int, int, int] | None


def read(message: bytes) -> Message:
    rows = sorted((int(number), float(at)) for number, at in _ROW.findall(message))
    found = _COUNTS.search(message)
    return Message(tuple(n for n, _ in rows), tuple(at for _, at in rows), _counts(found[1]) if found else None)


def _counts(markup: bytes) -> tuple[int, int, int]:
    """(shown, left out, lost) of `1 234 shown · 5 more than can be shown · 6 lost: ...`."""
    text = _TAG.sub(b"", markup).decode().replace("\u202f", "")
    found = [re.search(rf"(\d+) {word}", text) for word in ("shown", "more than", "lost")]
    shown, skipped, lost = (int(one[1]) if one else 0 for one in found)
    return shown, skipped, lost


@dataclass
class Console:
    """One stream. rows: of messages, each of which came once, in order (`disordered`: those that did not)."""

    connection: socket.socket
    begun: bool = False
    over: bool = False
    rows: int = 0
    disordered: int = 0
    counts: tuple[int, int, int] = (0, 0, 0)
    _last: int = -1
    _head: bool = True
    _left: int = 0  # bytes of the chunk that are to come
    _raw: bytearray = field(default_factory=bytearray)
    _body: bytearray = field(default_factory=bytearray)

    def take(self) -> list[bytes]:
        """The messages that have come whole by now."""
        try:
            data = self.connection.recv(READ_BYTES)
        except BlockingIOError:
            return []
        self.over = not data
        self._raw += data
        if self._head:
            head, found, rest = self._raw.partition(b"\r\n\r\n")
            if not found:
                return []
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise ConnectionError(head[:200].decode(errors="replace"))
            self._head, self._raw = False, rest
        self._unchunk()
        *whole, rest = self._body.split(b"\n\n")
        self._body = rest
        self.begun = self.begun or bool(whole)
        return [bytes(one) for one in whole]

    def count(self, message: Message) -> None:
        if message.numbers:
            self.rows += len(message.numbers)
            self.disordered += message.numbers[0] <= self._last
            self._last = message.numbers[-1]
        self.counts = message.counts or self.counts

    def _unchunk(self) -> None:
        """https://www.rfc-editor.org/rfc/rfc9112#section-7.1"""
        while self._raw:
            if not self._left:
                end = self._raw.find(b"\r\n")
                if end < 0:
                    return
                self._left = int(self._raw[:end], 16) + 2
                del self._raw[: end + 2]
                if self._left == 2:
                    self.over = True
                    return
            part = self._raw[: self._left]
            del self._raw[: len(part)]
            self._left -= len(part)
            self._body += part if self._left else part[:-2]


def opened(port: int, cookie: str, path: str) -> Console:
    """A stream that has been asked for; nothing is read yet."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\nCookie: {cookie}\r\n\r\n"
    connection.sendall(head.encode())
    connection.setblocking(False)
    return Console(connection)


class Watch:
    """Reads any number of consoles. seen: (when a message came, the message), of all of them."""

    def __init__(self, consoles: list[Console]) -> None:
        self.consoles = consoles
        self.seen: list[tuple[float, Message]] = []
        self._known: dict[bytes, Message] = {}
        self._selector = selectors.DefaultSelector()
        for one in consoles:
            self._selector.register(one.connection, selectors.EVENT_READ, one)

    def take(self, seconds: float) -> None:
        """What has come; waits so long for it at most."""
        for key, _ in self._selector.select(seconds):
            console: Console = key.data
            at = time.time()
            for raw in console.take():
                message = self._known.get(raw)
                if message is None:
                    if len(self._known) > 500:
                        self._known.clear()
                    message = self._known[raw] = read(raw)
                console.count(message)
                if message.numbers:
                    self.seen.append((at, message))
            if console.over:
                self._selector.unregister(console.connection)

    def begin(self, seconds: float = 120.0) -> None:
        """Read until every stream has begun. Raises TimeoutError."""
        ends = time.monotonic() + seconds
        while not all(one.begun for one in self.consoles):
            if time.monotonic() > ends:
                raise TimeoutError(f"{sum(not one.begun for one in self.consoles)} streams did not begin.")
            self.take(0.1)

    def close(self) -> None:
        for one in self.consoles:
            with suppress(OSError):
                one.connection.close()
        self._selector.close()

    def result(self) -> dict[str, Any]:
        late = sorted(at - time_ for at, message in self.seen for time_ in message.times)
        return {
            "consoles": [[one.rows, one.disordered, *one.counts] for one in self.consoles],
            "over": sum(one.over for one in self.consoles),
            "rows": len(late),
            "latency": [late[int(len(late) * share)] for share in (0.5, 0.99, 0.999)] + late[-1:] if late else [],
        }


class Reader:
    """Such a process beside us."""

    def __init__(self, port: int, cookie: str, path: str, number: int) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.consoles", str(port), str(number), path]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{cookie}\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        if said != "open\n":
            self.process.wait(60)
            raise ConnectionError("The streams did not begin.")

    def end(self) -> dict[str, Any]:
        out, _ = self.process.communicate("end\n", timeout=600)
        found: dict[str, Any] = json.loads(out)
        return found


def main() -> None:
    port, number, path = sys.argv[1:]
    cookie = sys.stdin.readline().strip()
    watch = Watch([opened(int(port), cookie, path) for _ in range(int(number))])
    watch.begin()
    print("open", flush=True)
    ask = selectors.DefaultSelector()
    ask.register(sys.stdin, selectors.EVENT_READ)
    while not ask.select(0):
        watch.take(0.2)
    print(json.dumps(watch.result()))
    watch.close()


if __name__ == "__main__":
    main()
