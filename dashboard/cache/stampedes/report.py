"""What a watch for stampedes tells: its alerts, and which keys and namespaces are missed. Pure.

Keys and namespaces stand in it in their printable form (key_token.printable).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dashboard.cache.estimate import Estimate

Cause = Literal["", "expired", "evicted", "deleted"]
"""What was seen of a key before its first miss; "" where nothing was: it may never have been there."""


@dataclass(frozen=True)
class Name:
    """A key's name. cut: 0, or how many bytes it has where `text` is only its beginning."""

    text: str
    cut: int = 0


@dataclass(frozen=True)
class Episode:
    """From the first miss of a key until it was there again.

    at: seconds since the watch began. misses: so many within `seconds`. refill: seconds from the first miss to the
    first refill, None where none was seen yet. refills: how often it was written as a whole until shortly after. lock:
    the name of a key that looks like its lock and was written meanwhile, "" where none was seen.
    """

    at: float
    seconds: float
    misses: int
    cause: Cause
    refill: float | None
    refills: int
    lock: str = ""

    @property
    def redundant(self) -> int:
        """Refills that were not needed."""
        return max(self.refills - 1, 0)


@dataclass(frozen=True)
class Alert:
    """Stampedes of one key. episodes: how many; misses: of all of them. together: keys of this namespace (this one
    too) that had one within two seconds of its latest."""

    key: Name
    namespace: str
    episodes: int
    misses: int
    latest: Episode
    worst: Episode
    together: int = 1


@dataclass(frozen=True)
class MissedKey:
    """A key and its misses: `count`, and at least `count - error`."""

    key: Name
    namespace: str
    count: int
    error: int = 0


@dataclass(frozen=True)
class AbsentKey:
    """A key that was missed `misses` times in `seconds` and never filled."""

    key: Name
    namespace: str
    misses: int
    seconds: float
    cause: Cause = ""


@dataclass(frozen=True)
class MissedNamespace:
    """misses: as of MissedKey. filled: misses that were followed by a refill, each key's counted once an episode. p50,
    p99: from a key's first miss to its refill, seconds; None where none was seen.

    lookups: of its keys while they were sampled, hits and misses, and hit_ratio: 0 to 1; None where that is not known.
    """

    name: str
    misses: int
    error: int
    filled: int
    p50: float | None
    p99: float | None
    lookups: Estimate | None = None
    hit_ratio: Estimate | None = None


@dataclass(frozen=True)
class Stampedes:
    """What was found so far.

    misses: heard of. keys, namespaces: those most missed. absent: keys that were never filled. filled: episodes that
    ended with a refill, p50 and p99: how long they took. held: episodes with as many misses as an alert needs, a
    lock, and a single refill. alerts_dropped: of further keys, for which there was no room. given_up: keys that were no
    longer followed for want of room although they had just been missed again.
    """

    misses: int = 0
    alerts: tuple[Alert, ...] = ()
    keys: tuple[MissedKey, ...] = ()
    namespaces: tuple[MissedNamespace, ...] = ()
    absent: tuple[AbsentKey, ...] = ()
    filled: int = 0
    p50: float | None = None
    p99: float | None = None
    held: int = 0
    alerts_dropped: int = 0
    given_up: int = 0
