"""Reading keys for the vault: what each holds, as the server itself writes it down (DUMP), and how long it has left.

By plain commands packed by hand: a script that does the same holds the server for nearly twice as long for each key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple, Protocol

from dashboard.cache.errors import CacheError, Denied, translate
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import Line, head
from dashboard.cache.servers.refusals import of_one_key, served_elsewhere
from dashboard.cache.walking.filtering import seconds_of

CALL_BYTES = 4 * 1024 * 1024  # of the keys of one answer, as MEMORY USAGE counts them
BLIND = 100  # keys of an answer whose sizes are not told: each may have some megabytes
GONE = -2  # PTTL's answer
_STARTING = 20e-6  # seconds for reading the questions and writing the answers, which the clock does not see


class _Head:
    """The words of a command that is asked of each key."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.packed = head(*(word.encode() for word in words))


_PTTL, _MEMORY, _DUMP = _Head("PTTL"), _Head("MEMORY", "USAGE"), _Head("DUMP")


class Kept(NamedTuple):
    """One key as it was at `at` (ms since 1970, by the server). pttl: ms left then, -1 for no TTL."""

    key: bytes
    pttl: int
    at: int
    dump: bytes

    @property
    def checksum(self) -> bytes:
        """The last 8 bytes of a DUMP are a CRC-64 of the rest (the format of RDB files)."""
        return self.dump[-8:]

    @property
    def expires_at(self) -> int:
        """ms since 1970; -1 for no TTL."""
        return -1 if self.pttl < 0 else self.at + self.pttl


class Safe(Protocol):
    """Where an invalidation keeps keys before it touches them, and writes down how far it has got."""

    @property
    def count(self) -> int:
        """How many frames there are."""
        ...

    def keep(self, records: Sequence[Kept]) -> int:
        """They are on the disk when this returns: the number of their frame. Raises where they are not."""
        ...

    def frames(self, start: int, end: int) -> Iterator[tuple[int, Sequence[Kept]]]:
        """Frames by their numbers, `end` not among them."""
        ...

    def note(self, text: str) -> None:
        """Survives the end of this process at any moment, though perhaps not the end of the machine."""
        ...

    def last_note(self) -> str | None:
        """What was noted last by this or an earlier process; None where nothing was."""
        ...


@dataclass
class Read:
    """What one call has read. handled: of the keys given, from the first on. memory: bytes by MEMORY USAGE, of each
    key kept. elsewhere: keys that another server serves by now. held: seconds of the server, by its own clock."""

    handled: int = 0
    kept: list[Kept] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    gone: int = 0
    too_large: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)
    refusal: str = ""
    elsewhere: list[bytes] = field(default_factory=list)
    held: float | None = None


class Keeping:
    """Reads keys of one cache. largest: bytes of the largest key that is read, 0 for no limit. Raises Denied where DUMP
    is."""

    def __init__(self, cache: Cache, largest: int) -> None:
        capabilities = cache.capabilities()
        for command in ("DUMP", "PTTL"):
            if not capabilities.can(command):
                why = f"Cachedeck's user on {cache.name} may not run {command}, so nothing can be kept."
                raise Denied(why, command)
        self._cache = cache
        self._name = cache.name
        self._largest = largest
        self._measures = capabilities.can("MEMORY USAGE")

    def read(self, node: Node, keys: Sequence[bytes], *, follow: bool = False) -> Read:
        """The first of these keys, as many as one answer should hold. Two round trips. Raises CacheError.

        follow: each key where its slot is just now, on its way from one server to another (1 more round trip each).
        """
        if not self._measures:
            keys = keys[:BLIND]
        if follow:
            return self._read(lambda heads, asked: self._sent_on(node, heads, asked), keys)
        with closing(Line(self._cache, node)) as line:
            return self._read(lambda heads, asked: _of_each(line, heads, asked), keys)

    def _sent_on(self, node: Node, heads: Sequence[_Head], keys: Sequence[bytes]) -> list[Any]:
        words = ((*head.words, key) for key in keys for head in heads)
        return self._cache.pipeline(node, [("TIME",), *words, ("TIME",)])

    def _read(self, ask: Callable[[Sequence[_Head], Sequence[bytes]], list[Any]], keys: Sequence[bytes]) -> Read:
        before, *told, after = ask((_PTTL, _MEMORY) if self._measures else (_PTTL,), keys)
        at = _clock_ms(before)
        read = Read(held=_between(before, after))
        pttls = told[::2] if self._measures else told
        sizes = told[1::2] if self._measures else [0] * len(keys)
        if self._all_wanted(pttls, sizes):
            read.handled = len(keys)
        else:
            keys, pttls, sizes = self._wanted(read, keys, pttls, sizes)
        if keys:
            before, *dumps, after = ask((_DUMP,), keys)
            if read.held is not None:
                read.held += _between(before, after) or 0.0
            self._take(read, keys, pttls, sizes, at, dumps)
        return read

    def _all_wanted(self, pttls: Sequence[Any], sizes: Sequence[Any]) -> bool:
        """Whether all are there, small enough, and not too much for one answer: the usual case, judged without a look
        at each."""
        if not ({*map(type, pttls), *map(type, sizes)} <= {int} and pttls):
            return False
        return min(pttls) > GONE and sum(sizes) < CALL_BYTES and (not self._largest or max(sizes) <= self._largest)

    def _wanted(
        self, read: Read, keys: Sequence[bytes], pttls: Sequence[Any], sizes: Sequence[Any]
    ) -> tuple[list[bytes], list[int], list[int]]:
        """Keys, TTLs and bytes of those keys whose values are wanted, until there are enough of them."""
        found: list[tuple[bytes, int, int]] = []
        total = 0
        for key, pttl, size in zip(keys, pttls, sizes, strict=True):
            if total >= CALL_BYTES:
                break
            read.handled += 1
            if isinstance(pttl, Exception) or isinstance(size, Exception):
                self._put_aside(read, key, pttl if isinstance(pttl, Exception) else size)
            elif pttl == GONE or size is None:
                read.gone += 1
            elif self._largest and size > self._largest:
                read.too_large.append(key)
            else:
                total += size
                found.append((key, pttl, size))
        return [one[0] for one in found], [one[1] for one in found], [one[2] for one in found]

    def _take(
        self,
        read: Read,
        keys: Sequence[bytes],
        pttls: Sequence[int],
        sizes: Sequence[int],
        at: int,
        dumps: Sequence[Any],
    ) -> None:
        if {*map(type, dumps)} == {bytes} and not (self._largest and max(map(len, dumps)) > self._largest):
            # As Kept._make, which is a function of Python for each.
            rows = zip(keys, pttls, repeat(at), dumps, strict=False)
            read.kept = list(map(tuple.__new__, repeat(Kept), rows))
            read.memory = list(sizes)
            return
        for key, pttl, size, dump in zip(keys, pttls, sizes, dumps, strict=True):
            if isinstance(dump, Exception):
                self._put_aside(read, key, dump)
            elif dump is None:
                read.gone += 1
            elif self._largest and len(dump) > self._largest:
                read.too_large.append(key)
            else:
                read.kept.append(Kept(key, pttl, at, dump))
                read.memory.append(size)

    def _put_aside(self, read: Read, key: bytes, error: Exception) -> None:
        """Raises what concerns other keys too."""
        if served_elsewhere(error):
            read.elsewhere.append(key)
            return
        problem = error if isinstance(error, CacheError) else translate(error, self._name)
        if not of_one_key(problem):
            raise problem
        read.refused.append(key)
        read.refusal = read.refusal or problem.sentence


def _of_each(line: Line, heads: Sequence[_Head], keys: Sequence[bytes]) -> list[Any]:
    line.ask_of_each([one.packed for one in heads], keys, [("TIME",)], [("TIME",)])
    return line.read()


def _clock_ms(reply: Any) -> int:
    """The server's clock; ours where this user may not ask for it."""
    return round((time.time() if isinstance(reply, Exception) else seconds_of(reply)) * 1000)


def _between(before: Any, after: Any) -> float | None:
    """Seconds that the server took for what was asked between two questions for its clock; None where it tells none.

    What others asked for meanwhile is in it, so the error is on the gentle side; our own time is not.
    """
    if isinstance(before, Exception) or isinstance(after, Exception):
        return None
    return max(seconds_of(after) - seconds_of(before), 0.0) + _STARTING
