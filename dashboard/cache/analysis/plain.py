"""One batch of an analysis without a script: the same sums as analysis.lua, from the replies of pipelines.

Three round trips and a few microseconds of ours for each key. It needs fewer rights, and a key that
this user may not ask about is counted and left out, where a script would fail as a whole.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from dashboard.cache.analysis.slots import slot_of
from dashboard.cache.analysis.sums import NAMED, NO_TTL, ROW_WIDTH, UNKNOWN, BigSums, Question, RowSums, Sums
from dashboard.cache.errors import checked
from dashboard.cache.selecting.fold import LONGEST_LOOKED_AT, namespace_of
from dashboard.cache.servers.calls import Step, Visited
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.filtering import seconds_of
from dashboard.cache.walking.scan import examined_by, scan_command

EXAMPLE = 200  # bytes of a key's name
LENGTHS = {b"hash": "HLEN", b"list": "LLEN", b"set": "SCARD", b"zset": "ZCARD", b"stream": "XLEN"}


def batch_by_pipelines(
    cache: Cache,
    question: Question,
    cursor: int,
    count: int,
    *,
    origin_ms: int,
    biggest: int,
    listed: tuple[int, Sequence[bytes]] | None = None,
) -> Step[Sums]:
    """SCAN, a pipeline of what is asked of each key, and one of what is asked of some. Raises CacheError.

    listed: the next cursor and keys of a list, instead of SCAN.
    """
    selection = question.selection
    if listed is None:
        (reply,) = yield [tuple(scan_command(selection, cursor, count))]
        following, keys = checked(reply, cache.name)
        examined = examined_by(selection, int(following), count, len(keys))
    else:
        following, keys = listed
        examined = len(keys)
    replies = iter((yield [("TIME",), *(words for key in keys for words in _first(question, key))]))
    adder = _Adder(question, origin_ms, _now_ms(next(replies)), biggest)
    phase = question.phase()
    taken: list[tuple[bytes, bytes, int, int]] = []
    for key in keys:
        kind, pttl, memory = (next(replies) if asked else usual for asked, usual in _asked(question))
        if _refused(cache, kind, pttl, memory):
            adder.refused += 1
        elif pttl == -2 or kind == b"none" or memory is None:
            adder.gone += 1
        elif adder.wants(int(pttl), int(memory)) and (listed is None or selection.takes_type(kind.decode("latin-1"))):
            taken.append((key, kind, int(pttl), int(memory)))
    asked, words = _second(question, taken, phase)
    told = (yield words) if words else []
    adder.uncounted = sum(
        what == "members" and isinstance(reply, NoPermissionError) for (_, what), reply in zip(asked, told, strict=True)
    )
    adder.add(taken, {what: reply for what, reply in zip(asked, told, strict=True) if _is_told(reply)})
    adder.asked = (len(taken) + phase) // question.every if question.object else 0
    return Visited(int(following), examined, adder.sums(examined))


def _now_ms(reply: Any) -> int:
    """The server's clock; ours where this user may not ask for it."""
    return math.floor((time.time() if isinstance(reply, Exception) else seconds_of(reply)) * 1000 + 0.0005)


def _first(question: Question, key: bytes) -> list[tuple[Any, ...]]:
    words: list[tuple[Any, ...]] = []
    if _asks_type(question):
        words.append(("TYPE", key))
    if question.ttls:
        words.append(("PTTL", key))
    if question.memory:
        words.append(("MEMORY", "USAGE", key))
    return words


def _asks_type(question: Question) -> bool:
    """SCAN has judged it where it filters by type; nothing has judged a list."""
    return question.types and (not question.selection.type or question.selection.keys is not None)


def _asked(question: Question) -> tuple[tuple[bool, Any], ...]:
    """For type, TTL and memory: whether a reply comes, and what to take where none does."""
    kind = question.selection.type.encode()
    return (_asks_type(question), kind or UNKNOWN), (question.ttls, -1), (question.memory, 0)


def _refused(cache: Cache, *replies: Any) -> bool:
    """Whether the user may not ask about this key. Raises CacheError for any other error."""
    for reply in replies:
        if isinstance(reply, NoPermissionError):
            return True
        if isinstance(reply, ResponseError) and str(reply).startswith(("MOVED", "ASK")):
            return True  # its slot has just gone to another primary, which counts it
        checked(reply, cache.name)
    return False


def _second(
    question: Question, taken: Sequence[tuple[bytes, bytes, int, int]], phase: int
) -> tuple[list[tuple[bytes, str]], list[tuple[Any, ...]]]:
    """Members of collections, and of one key in `every` its encoding and activity: what is asked, and the commands."""
    asked: list[tuple[bytes, str]] = []
    words: list[tuple[Any, ...]] = []
    for index, (key, kind, _, _) in enumerate(taken, start=1 + phase):
        if question.lengths and kind in LENGTHS:
            asked.append((key, "members"))
            words.append((LENGTHS[kind], key))
        sampled = index % question.every == 0
        if question.object and (sampled or kind != b"string"):
            asked.append((key, "encoding"))
            words.append(("OBJECT", "ENCODING", key))
            if sampled and question.activity:
                asked.append((key, "activity"))
                words.append(("OBJECT", question.activity, key))
    return asked, words


def _is_told(reply: Any) -> bool:
    return reply is not None and not isinstance(reply, Exception)


class _Adder:
    """Adds up one batch."""

    def __init__(self, question: Question, origin_ms: int, now_ms: int, biggest: int) -> None:
        self._question = question
        self._now_ms = now_ms
        self._offset = now_ms - (origin_ms or now_ms)
        self._biggest = biggest
        self._rows: dict[bytes, int] = {}
        self._of_row: list[RowSums] = []
        self._codes: list[int] = []
        self._sizes: list[int] = []
        self._types: dict[bytes, int] = defaultdict(int)
        self._encodings: dict[bytes, tuple[int, int, int]] = {}
        self._active: dict[int, tuple[int, int, int]] = {}
        self._largest: list[BigSums] = []
        self._standing = [[0, 0, 0, 0, -1] for _ in question.rules]
        self.asked = 0
        self.gone = 0
        self.refused = 0
        self.uncounted = 0

    def wants(self, pttl: int, memory: int) -> bool:
        """Whether a key meets the selection's TTL and size conditions."""
        selection = self._question.selection
        return selection.takes_ttl(pttl, self._now_ms / 1000) and selection.takes_size(memory)

    def add(self, taken: Sequence[tuple[bytes, bytes, int, int]], more: dict[tuple[bytes, str], Any]) -> None:
        for key, kind, pttl, memory in taken:
            self._add(key, kind, pttl, memory, more)

    def _add(self, key: bytes, kind: bytes, pttl: int, memory: int, more: dict[tuple[bytes, str], Any]) -> None:
        number, row = self._row(key)
        row.keys += 1
        row.memory += memory
        if pttl < 0:
            row.without_memory += memory
        slot = NO_TTL if pttl < 0 else slot_of(pttl + self._offset)
        self._codes.append(number * ROW_WIDTH + slot)
        self._sizes.append(memory)
        members = more.get((key, "members"), -1)
        if kind != b"string":
            row.types[kind] = row.types.get(kind, 0) + 1
            self._types[kind] += memory
        self._note_oddities(row, key, memory, members)
        if memory > self._biggest:
            self._largest.append(BigSums(key[:NAMED], kind, memory, pttl, members, len(key)))
        for rule, standing in zip(self._question.rules, self._standing, strict=True):
            if len(key) <= LONGEST_LOOKED_AT and rule.covers(key):
                standing[("inside", "below", "above", "without").index(rule.place(pttl))] += 1
                standing[4] = max(standing[4], pttl)
        encoding = more.get((key, "encoding"))
        if encoding is not None:
            _count(self._encodings, kind + b" " + encoding, memory)
        if (key, "activity") in more:
            _count(self._active, math.frexp(more[key, "activity"])[1], memory)

    def _row(self, key: bytes) -> tuple[int, RowSums]:
        name = namespace_of(key, self._question.separator)
        number = self._rows.setdefault(name, len(self._of_row))
        if number == len(self._of_row):
            self._of_row.append(RowSums(name, key[:EXAMPLE]))
        return number, self._of_row[number]

    def _note_oddities(self, row: RowSums, key: bytes, memory: int, members: int) -> None:
        question = self._question
        tests = (
            len(key) > question.long_name,
            memory > question.large_value,
            members == 1,
            members >= question.many_members,
        )
        for place, odd in enumerate(tests, start=1):
            if odd:
                row.odd[place] = row.odd.get(place, 0) + 1
                row.odd_examples.setdefault(place, key[:EXAMPLE])

    def sums(self, visited: int) -> Sums:
        return Sums(
            visited,
            self._codes,
            self._sizes,
            self._of_row,
            self.gone,
            self.refused,
            self.asked,
            dict(self._types),
            self._encodings,
            self._active,
            self._largest,
            self._standing,
            self.uncounted,
        )


def _count(groups: dict[Any, tuple[int, int, int]], name: Any, memory: int) -> None:
    keys, total, squares = groups.get(name, (0, 0, 0))
    groups[name] = (keys + 1, total + memory, squares + memory * memory)
