"""A key that was missed, while it is followed; the state that stampedes/count.py keeps of each. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from dashboard.cache.selecting.key_token import printable
from dashboard.cache.stampedes.report import Cause, Episode, Name

LONG_NAME = 512
"""Bytes of a key's name; of a longer one the beginning and a digest are kept."""


class Cut(NamedTuple):
    """A name that is too long to be kept."""

    beginning: bytes
    size: int
    digest: bytes


KeyName = bytes | Cut


def cut(key: bytes) -> Cut:
    return Cut(key[:LONG_NAME], len(key), blake2b(key, digest_size=16).digest())


def shown(name: KeyName) -> Name:
    return Name(printable(name)) if isinstance(name, bytes) else Name(printable(name.beginning), name.size)


class Followed:
    """A key that was missed: its episode, and since when it was not filled (`first`, `unfilled` misses).

    within: seconds in which so many misses as an alert needs must come. peak: misses in the busiest stretch of that
    length (or half of it: they are counted by halves). filled: when, -1.0 before. fresh: the event "new" of a write was
    seen, its other one was not yet. removed: gone again after its refill. closed: it is followed no more. told: there
    is an alert of this episode.
    """

    __slots__ = (
        "_before",
        "_half",
        "_here",
        "began",
        "cause",
        "closed",
        "filled",
        "first",
        "fresh",
        "last",
        "misses",
        "name",
        "namespace",
        "node",
        "peak",
        "refills",
        "removed",
        "told",
        "unfilled",
        "within",
    )

    def __init__(self, name: KeyName, namespace: bytes, node: str, at: float, cause: Cause, within: float) -> None:
        self.name, self.namespace, self.node, self.cause = name, namespace, node, cause
        self.first = self.began = self.last = at
        self.misses = self.unfilled = self.refills = self.peak = 0
        self.within, self._half, self._here, self._before = within, at, 0, 0
        self.filled = -1.0
        self.fresh = self.removed = self.closed = self.told = False

    def missed(self, at: float) -> None:
        """Once more."""
        half = 0.5 * self.within
        if at - self._half >= half:
            self._before = self._here if at - self._half < self.within else 0
            self._half, self._here = at, 0
        self._here += 1
        self.misses += 1
        self.unfilled += 1
        self.last = at
        self.peak = max(self.peak, self._here + self._before)

    def begin_anew(self, at: float) -> None:
        """Another episode, of a key that was not filled since the last one."""
        self.began, self.misses, self.peak, self.told = at, 0, 0, False
        self._half, self._here, self._before = at, 0, 0

    def episode(self, lock: str) -> Episode:
        """`at` is by the clock of the events."""
        refill = self.filled - self.began if self.filled >= 0 else None
        return Episode(self.began, self.last - self.began, self.misses, self.cause, refill, self.refills, lock)
