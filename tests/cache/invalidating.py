"""Invalidations without a disk, and what the tests see of a keyspace before and after them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.cache.invalidation.report import Done, Undone
from dashboard.cache.invalidation.restore import Options as UndoOptions
from dashboard.cache.invalidation.restore import restore
from dashboard.cache.invalidation.run import Options, invalidate
from dashboard.cache.invalidation.standing import Standing, standing_of
from dashboard.cache.invalidation.task import Task
from dashboard.cache.reading.keeping import Kept
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.governor import Budget

FAST = Options(Budget(share=1.0), every=0.0)


class Memory:
    """A vault in memory. `after`: what somebody else does in the moment when keys are safe and not yet touched."""

    def __init__(self, after: Callable[[Sequence[Kept]], None] | None = None) -> None:
        self.held: list[list[Kept]] = []
        self.notes: list[str] = []
        self._after = after

    @property
    def count(self) -> int:
        return len(self.held)

    @property
    def names(self) -> set[bytes]:
        return {record.key for frame in self.held for record in frame}

    @property
    def standing(self) -> Standing:
        return standing_of(self.notes[-1])

    def keep(self, records: Sequence[Kept]) -> int:
        self.held.append(list(records))
        if self._after:
            self._after(records)
        return len(self.held) - 1

    def frames(self, start: int, end: int) -> Iterator[tuple[int, Sequence[Kept]]]:
        return ((number, self.held[number]) for number in range(start, min(end, len(self.held))))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def last_note(self) -> str | None:
        return self.notes[-1] if self.notes else None


def done(cache: Cache, task: Task, safe: Memory | None = None, options: Options = FAST) -> Done:
    """An invalidation to its end: its last snapshot."""
    return list(invalidate(cache, task, Memory() if safe is None else safe, options))[-1]


def removed(cache: Cache, key: bytes) -> bool:
    """Remove one key, as its page does but for the vault: whether it was there."""
    return done(cache, Task(Selection(keys=(key,)), vault=False)).counts.removed == 1


def undone(cache: Cache, task: Task, safe: Memory, pattern: bytes = b"*") -> Undone:
    """What was kept given back: the last snapshot."""
    options = UndoOptions(Budget(share=1.0), every=0.0, lowered=task.lowers)
    return list(restore(cache, safe.frames, safe.count, safe.standing, pattern, options))[-1]


@dataclass(frozen=True)
class Key:
    """A key as it is: what it holds, and when it expires (ms since 1970, -1 never)."""

    dump: bytes
    expires: int


def keyspace(client: Any) -> dict[bytes, Key]:
    """Every key of a server."""
    found = {}
    for name in client.scan_iter(count=1000):
        dump, expires = client.dump(name), client.execute_command("PEXPIRETIME", name)
        if dump is not None and expires != -2:
            found[name] = Key(dump, expires)
    return found


def alike(one: Key, other: Key, slack_ms: int = 1000) -> bool:
    """Whether they hold the same and expire at the same time."""
    never = -1 in (one.expires, other.expires)
    near = one.expires == other.expires if never else abs(one.expires - other.expires) <= slack_ms
    return one.dump == other.dump and near


def now_ms() -> int:
    return round(time.time() * 1000)
