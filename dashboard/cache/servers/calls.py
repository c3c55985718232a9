"""Steps of a walk on several servers, side by side in one thread.

A step is a generator: it yields commands and is sent their replies. While one waits for its server, the others
go on, and whoever drives them can work on what has come already.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import Command, Line, first_ready

T = TypeVar("T")


class Visited(NamedTuple, Generic[T]):
    """What a step gives: SCAN's next cursor, how many keys were examined, and what was found or done.

    held: seconds for which the server was held, where it says so itself; else the call's time is taken for it.
    """

    cursor: int
    examined: int
    found: T
    held: float | None = None


Step = Generator[Sequence[Command], list[Any], Visited[T]]
"""Yields commands for its server, one round trip each time, and is sent their replies (errors among them as redis-py's
exceptions). Raises CacheError."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One step: on which server, for about how many keys, and since when (perf_counter)."""

    node: Node
    step: Step[T]
    count: int
    begun: float


@dataclass(frozen=True)
class Ended(Generic[T]):
    """A call, when it ended (perf_counter), and with what."""

    call: Call[T]
    at: float
    how: Visited[T] | CacheError


class Calls(Generic[T]):
    """At most one call for each server. `ended`: those that have, in their order, for the caller to take."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lines: dict[str, Line] = {}
        self._calls: dict[str, Call[T]] = {}
        self.ended: deque[Ended[T]] = deque()

    @property
    def under_way(self) -> int:
        """How many wait for their servers."""
        return len(self._calls)

    @property
    def names(self) -> set[str]:
        """The servers with a call under way, or one that has ended and was not taken yet."""
        return {*self._calls, *(one.call.node.name for one in self.ended)}

    def begin(self, node: Node, step: Step[T], count: int) -> None:
        """Send what a step asks first; one that asks nothing has ended."""
        self._calls[node.name] = Call(node, step, count, time.perf_counter())
        self._go_on(node.name, None)

    def wait(self, seconds: float | None) -> None:
        """Until some step gets on, or for so long (None: for as long as a command may take)."""
        name = first_ready({name: self._lines[name] for name in self._calls}, seconds)
        if name is None:
            return
        try:
            replies = self._lines[name].read()
        except CacheError as error:
            self._end(name, error)
        else:
            self._go_on(name, replies)

    def _go_on(self, name: str, replies: list[Any] | None) -> None:
        """Let a step go on until it asks again or ends."""
        call = self._calls[name]
        try:
            commands = next(call.step) if replies is None else call.step.send(replies)
            if name not in self._lines:
                self._lines[name] = Line(self._cache, call.node)
            self._lines[name].send(commands)
        except StopIteration as end:
            self._end(name, end.value)
        except CacheError as error:
            self._end(name, error)

    def _end(self, name: str, how: Visited[T] | CacheError) -> None:
        call = self._calls.pop(name)
        call.step.close()
        if isinstance(how, CacheError) and name in self._lines:
            self._lines.pop(name).close()
        self.ended.append(Ended(call, time.perf_counter(), how))

    def close(self) -> None:
        """Hang up on servers that are still at work, and give the other connections back."""
        for call in self._calls.values():
            call.step.close()
        for line in self._lines.values():
            line.close()
