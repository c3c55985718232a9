"""A database in this process which counts how it is used, and what tests of patterns are built from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from dashboard.demo.caching.entries import LEASE_SECONDS, Entries
from dashboard.demo.caching.reading import Prevention, Reader
from dashboard.demo.caching.remote import Remote
from dashboard.demo.counters import Counters
from dashboard.demo.encoding import Document
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.patterns import Change, Load
from dashboard.demo.prevention.none import Unprevented
from tests.demo.stepping import pause

KEY = "api:user:42"
ROW = 42
TTL = 60.0
PATIENCE_SECONDS = 60.0  # for a cache that must answer: a busy machine stalls


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Table:
    """Rows by id, each with a version. `within` is called in the midst of a load, after the row was read."""

    rows: dict[int | str, Document] = field(default_factory=lambda: {ROW: {"name": "Ada", "city": "Ulm", "version": 1}})
    reads: int = 0
    within: Callable[[], object] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, row: int | str = ROW) -> Document | None:
        with self.lock:
            self.reads += 1
            found = self.rows.get(row)
            document = None if found is None else dict(found)
        self.within()
        return document

    def loader(self, row: int | str) -> Load:
        return lambda: self.load(row)

    def change(self, kind: str, row: int | str, values: Mapping[str, Any]) -> int | None:
        with self.lock:
            if row not in self.rows:
                return None
            changed = {**self.rows[row], **values}
            changed["version"] += 1
            self.rows[row] = changed
            return int(changed["version"])

    def changing(self, city: str, row: int | str = ROW, key: str = KEY) -> Change:
        """A change of a row's city, as a pattern gets it."""
        return Change("user", row, {"city": city}, key, self.loader(row))


class SlowTable(Table):
    """Stands still (stepping.py) before and after it is read and changed."""

    def reset(self) -> None:
        """The row as it was at first."""
        self.rows = Table().rows

    def load(self, row: int | str = ROW) -> Document | None:
        pause()
        document = super().load(row)
        pause()
        return document

    def change(self, kind: str, row: int | str, values: Mapping[str, Any]) -> int | None:
        pause()
        version = super().change(kind, row, values)
        pause()
        return version


@dataclass
class Cached:
    """The cache side of one process of the shop, over the cache at a URL."""

    remote: Remote
    entries: Entries
    counters: Counters
    reader: Reader

    @property
    def counted(self) -> dict[str, int | float]:
        """What was counted, without what was not."""
        return {name: n for name, n in self.counters.to_plain().items() if n}


def cached(
    url: str,
    prevention: Prevention | None = None,
    *,
    clock: Clock | None = None,
    counters: Counters | None = None,
    timeout: float = PATIENCE_SECONDS,
    lease_seconds: float = LEASE_SECONDS,
) -> Cached:
    counters = counters or Counters()
    remote = Remote(url, clock or Clock(), counters, timeout)
    entries = Entries(remote, Keyspace(), lease_seconds)
    return Cached(remote, entries, counters, Reader(entries, counters, prevention or Unprevented()))


def slowly(process: Cached) -> Cached:
    """The same, standing still before every command to the cache."""
    ask = process.remote.ask

    def slow(question: Callable[[redis.Redis], Any]) -> Any:
        pause()
        return ask(question)

    process.remote.ask = slow  # type: ignore[method-assign]
    return process
