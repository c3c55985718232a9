"""Looks: the buffers of one subscription, one for each sieve that somebody looks through, and who does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dashboard.cache.errors import CacheError
from dashboard.cache.events.buffer import Buffer
from dashboard.cache.events.event import Event, Gap, Item
from dashboard.cache.events.sieve import Sieve
from dashboard.cache.events.sorting import Heard, event

MOST_SIEVES = 16


class TooMany(CacheError):
    """There is a bound to how many things are listened to, or looked at through sieves of their own."""


class Over(Exception):
    """Nobody listens any more; somebody can begin again."""


@dataclass
class _Looked:
    """A buffer and who looks at it."""

    buffer: Buffer
    watchers: int = 0
    left_at: float = field(default_factory=time.monotonic)


class Looks:
    """Thread-safe. kept: events that each buffer holds. linger: seconds for which one that nobody looks at is filled
    all the same. `ended`: set once, from then on nobody can look any more."""

    def __init__(self, kept: int, linger: float) -> None:
        self.ended = threading.Event()
        self._kept = kept
        self._linger = linger
        self._lock = threading.Lock()
        self._all = Buffer(Sieve(), kept)
        self._looks: dict[Sieve, _Looked] = {Sieve(): _Looked(self._all)}

    @property
    def watchers(self) -> int:
        with self._lock:
            return sum(look.watchers for look in self._looks.values())

    @contextmanager
    def watching(self, sieve: Sieve) -> Iterator[Buffer]:
        """As Hearing.watching(). Raises TooMany, Over."""
        look = self._look(sieve)
        try:
            yield look.buffer
        finally:
            with self._lock:
                look.watchers -= 1
                look.left_at = time.monotonic()

    def keep(self, heard: list[Heard], at: float, node: str) -> None:
        """Only what a buffer can keep becomes an event: of a flood the last, and the rest is counted."""
        with self._lock:
            for look in self._looks.values():
                buffer = look.buffer
                takes = buffer.takes
                passed = heard if buffer.sieve.open else [one for one in heard if takes(one[1], one[2])]
                if passed:
                    buffer.add([event(one, at, node) for one in passed[-self._kept :]], len(passed))

    def keep_gap(self, gap: Gap) -> None:
        """It passes every sieve."""
        with self._lock:
            for look in self._looks.values():
                look.buffer.add([gap])

    def tell(self) -> None:
        """Wake those who wait for something new."""
        with self._lock:
            buffers = [look.buffer for look in self._looks.values()]
        for buffer in buffers:
            buffer.tell()

    def forsaken(self) -> bool:
        """Whether nobody has looked for long, which ends it; single sieves that nobody uses are given up here, too."""
        ago = time.monotonic() - self._linger
        with self._lock:
            left = {key: not look.watchers and look.left_at < ago for key, look in self._looks.items()}
            for key in [key for key, gone in left.items() if gone and not key.open]:
                self._looks.pop(key).buffer.close()
            if all(left.values()):
                # Within the lock: whoever comes now finds that it is over, and begins another.
                self.ended.set()
            return all(left.values())

    def close(self, why: str) -> None:
        """Those who wait are told that nothing comes any more."""
        self.ended.set()
        with self._lock:
            for look in self._looks.values():
                if not look.buffer.closed:
                    look.buffer.close(why)

    def _look(self, sieve: Sieve) -> _Looked:
        key = Sieve() if sieve.open else sieve
        with self._lock:
            if self.ended.is_set():
                raise Over
            look = self._looks.get(key)
            if look is None:
                if len(self._looks) >= MOST_SIEVES:
                    raise TooMany(
                        f"{MOST_SIEVES} different filters of these events are in use.",
                        "Use one of them, or close a page that has another.",
                    )
                look = self._looks[key] = _Looked(Buffer(key, self._kept))
                look.buffer.add([one for one in self._all.kept() if _passes(look.buffer, one)])
                look.buffer.tell()
            look.watchers += 1
            return look


def _passes(buffer: Buffer, item: Item) -> bool:
    return not isinstance(item, Event) or buffer.takes(item.channel, item.payload)
