"""Asks the demo's bench by HTTP: one request, one answer, in bounded time and of bounded size.

No session, no redirect that is followed, no proxy of the environment. Any answer is the whole state anew.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dashboard.lab.errors import DemoAway, DemoRefused, DemoStrange
from dashboard.lab.reading import mapping, text
from dashboard.lab.state import State, is_bench, parse

TIMEOUT_SECONDS = 2.0
CHANGE_SECONDS = 15.0  # a change may have to wait: a queue is written first, a scenario put back
LARGEST_BODY = 1024 * 1024
_PORTION = 65536

Plain = Mapping[str, Any]


class Bench:
    """The bench at `url`, http(s)://host:port. Each call is one round trip on a connection of its own.

    All of them raise DemoAway and DemoStrange; those that change something raise DemoRefused with the demo's sentence.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS, change_timeout: float = CHANGE_SECONDS) -> None:
        self.name = url
        self._url = urlsplit(url)
        self._timeouts = timeout, change_timeout

    def look(self) -> State:
        return self._ask("GET", "/bench")

    def turn(self, knobs: Plain) -> State:
        """Turn some knobs: names and values of state.Knobs."""
        return self._ask("PUT", "/bench/knobs", knobs)

    def drive(self, traffic: Plain) -> State:
        """Change some of what visitors do: names and values of state.Traffic."""
        return self._ask("PUT", "/bench/traffic", traffic)

    def play(self, scenario: str) -> State:
        """Begin a scenario; the one that runs ends, and what it had turned goes back."""
        return self._ask("POST", "/bench/scenario", {"name": scenario})

    def compare(self, seconds: int, seed: int, prevention: str = "") -> State:
        """Begin a comparison of all patterns, `seconds` each. Without `prevention`, with the one that is in force."""
        asked = {"seconds": seconds, "seed": seed}
        return self._ask("POST", "/bench/comparison", {**asked, "prevention": prevention} if prevention else asked)

    def cancel(self) -> State:
        """End the comparison that runs, and keep what it has found so far."""
        return self._ask("DELETE", "/bench/comparison")

    def _ask(self, method: str, path: str, body: Plain | None = None) -> State:
        changes = method != "GET"
        timeout = self._timeouts[changes]
        deadline = time.monotonic() + timeout
        with closing(_connection(self._url, timeout)) as connection:
            try:
                payload = None if body is None else json.dumps(body)
                # A DELETE too: what changes something has to say that it is no form of some web page.
                head = {"Content-Type": "application/json"} if changes else {}
                connection.request(method, self._url.path.rstrip("/") + path, payload, head)
                answer = connection.getresponse()
                told = _read(answer, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _away(error, changes=changes) from None
        return _understood(answer.status, told)


def _connection(url: SplitResult, timeout: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(url.hostname or "", url.port, timeout=timeout)


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole body. Raises TimeoutError for one that comes in drops, IncompleteRead for one that ends before its end,
    DemoStrange for one that is too long."""
    body = bytearray()
    while portion := answer.read1(_PORTION):
        body += portion
        if len(body) > LARGEST_BODY:
            raise DemoStrange("The demo's answer is longer than any that it should give.")
        if time.monotonic() > deadline:
            raise TimeoutError
    if answer.length:
        raise http.client.IncompleteRead(bytes(body), answer.length)
    return bytes(body)


def _away(error: Exception, *, changes: bool) -> DemoAway | DemoStrange:
    if isinstance(error, TimeoutError) and changes:
        return DemoAway("The demo has not answered in time.", "It may still do what was asked of it: look again.")
    if isinstance(error, TimeoutError):
        return DemoAway("The demo does not answer in time.")
    if isinstance(error, OSError | http.client.IncompleteRead):  # one that ends in the midst of it is away, too
        return DemoAway("The demo does not answer.")
    return DemoStrange("What answers at the demo's address does not speak HTTP as it should.")


def _understood(status: int, told: bytes) -> State:
    try:
        body = json.loads(told)
    except (ValueError, RecursionError):
        body = None
    sentence = text(mapping(body).get("error"))
    if status in (400, 409) and sentence:
        raise DemoRefused(f"The demo will not: {sentence.rstrip('.')}.")
    if status == 503 and sentence:
        raise DemoAway(f"The demo cannot do that now: {sentence.rstrip('.')}.")
    if status != 200 or not is_bench(body):
        raise DemoStrange(f"What answers at the demo's address is no bench of the demo (status {status}).")
    return parse(body, time.time())
