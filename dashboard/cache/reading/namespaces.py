"""The namespaces below a prefix, from a bounded walk: exact where it got through, an estimate where not."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from dashboard.cache.estimate import Estimate, count_from_sample
from dashboard.cache.selecting.selection import Selection, glob_escape
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.walk import Budget, Position, walk

MOST_EXAMINED = 100_000  # keys; half a per cent of error at the worst, and a third of a second
MOST_NAMED = 40  # children that are drawn; the rest is one line
_MOST_COUNTED = 20_000  # different names that are counted at once, so that random prefixes cost bounded memory


@dataclass(frozen=True)
class Namespace:
    """One child: `prefix` with its separator at the end, `name` its last part, and how many keys lie below."""

    prefix: bytes
    name: bytes
    keys: Estimate


@dataclass(frozen=True)
class Namespaces:
    """Children of `prefix` by size. `others`: keys of children that are not named; `plain`: keys without children."""

    prefix: bytes
    children: tuple[Namespace, ...]
    others: Estimate
    plain: Estimate
    position: Position

    @property
    def exact(self) -> bool:
        """Whether every key of every primary was counted."""
        return self.plain.exact and not self.position.lost


def namespaces(cache: Cache, prefix: bytes, separator: bytes, *, seconds: float = 0.25) -> Namespaces:
    """What lies below a prefix (b"" for the whole keyspace), examining at most 100,000 keys.

    Raises CacheError where no primary can be asked.
    """
    counts: Counter[bytes] = Counter()
    plain = others = 0
    position = Position()
    deadline = time.monotonic() + seconds
    seen: set[int] = set()
    for batch in walk(cache, Selection(glob_escape(prefix) + b"*"), Budget()):
        position = batch.position
        for key in batch.found:
            mark = hash(key)  # 64 bits, keyed for each process: keys themselves may have 10 kB and more
            if mark in seen:
                continue
            seen.add(mark)
            name, found, _ = key[len(prefix) :].partition(separator)
            if not found:
                plain += 1
            elif name in counts or len(counts) < _MOST_COUNTED:
                counts[name] += 1
            else:
                others += 1
        if (position.examined >= MOST_EXAMINED or time.monotonic() >= deadline) and position.begun:
            break
    return _named(prefix, separator, counts, plain, others, position)


def _named(
    prefix: bytes, separator: bytes, counts: Counter[bytes], plain: int, others: int, position: Position
) -> Namespaces:
    sample = position.total if position.ended and not position.lost else position.examined

    def estimate(hits: int) -> Estimate:
        return count_from_sample(hits, sample, position.total)

    largest = counts.most_common(MOST_NAMED)
    others += sum(counts.values()) - sum(hits for _, hits in largest)
    children = tuple(Namespace(prefix + name + separator, name, estimate(hits)) for name, hits in largest)
    return Namespaces(prefix, children, estimate(others), estimate(plain), position)
