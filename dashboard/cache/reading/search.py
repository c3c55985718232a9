"""A search for keys that answers in steps: each within a time, each saying where it stands.

The state between two steps travels with the page, so any web process can go on with it. It holds the
walk's position and a mark of every key that was shown, because SCAN may show a key twice and a page
must not.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboard.cache.errors import CacheError, Denied
from dashboard.cache.reading import keys
from dashboard.cache.reading.keys import Row
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.position import position_of
from dashboard.cache.walking.walk import Budget, Position, walk

PAGE = 100
MOST_SHOWN = 10_000  # rows that one page may hold; beyond it one narrows the pattern
_MARK_BYTES = 8  # two of 10,000 keys share a mark with a chance of 3 in 10^12 (birthday bound, 2^64)
_STATE_LIMIT = 400_000  # bytes unpacked: 10,000 marks and the places of a few hundred primaries


@dataclass(frozen=True)
class State:
    """Where a search stands between two steps: the walk's position, and marks of the keys it has shown."""

    position: Position
    shown: frozenset[bytes]

    def to_text(self) -> str:
        """As text for a form field."""
        head = json.dumps(self.position.to_plain()).encode()
        body = zlib.compress(len(head).to_bytes(4, "big") + head + b"".join(sorted(self.shown)))
        return base64.urlsafe_b64encode(body).decode("ascii")


def state_from_text(text: str) -> State:
    """The state of a form field. Raises BadSelection for text that `to_text` did not write."""
    try:
        packed = base64.urlsafe_b64decode(text.encode("ascii"))
        body = zlib.decompressobj().decompress(packed, _STATE_LIMIT)
        size = int.from_bytes(body[:4], "big")
        position = position_of(json.loads(body[4 : 4 + size]))
        marks = body[4 + size :]
        shown = frozenset(marks[at : at + _MARK_BYTES] for at in range(0, len(marks), _MARK_BYTES))
    except (ValueError, OverflowError, TypeError, AttributeError, KeyError, zlib.error, RecursionError):
        raise BadSelection("This search cannot go on: its state is damaged. Search again.") from None
    return State(position, shown)


@dataclass(frozen=True)
class Step:
    """What one step of a search has found, and where the search stands after it.

    rows: new ones only. found: all shown so far. examined, total: keys. ended: the keyspace is
    through (but for the primaries in `lost`, by name, each with why). full: this page has its rows.
    direct: answered by looking up the name, without a walk.
    """

    rows: tuple[Row, ...]
    found: int
    examined: int
    total: int
    ended: bool
    full: bool
    state: State | None
    lost: dict[str, str]
    direct: bool = False

    @property
    def complete(self) -> bool:
        """Whether it may be said that there are no more."""
        return self.ended and not self.lost


def search(
    cache: Cache,
    selection: Selection,
    state: State | None = None,
    *,
    limit: int = PAGE,
    seconds: float = 0.25,
) -> Step:
    """One step: up to `limit` new rows, within about `seconds`. Raises CacheError if nothing can be asked.

    A pattern without wildcards is one direct look-up. Round trips: those of the walk, then one
    pipeline for each primary that holds some of the rows.
    """
    if not selection.has_wildcard:
        found = keys.look_up(cache, selection)
        return Step(tuple(found), len(found), 0, 0, True, False, None, {}, direct=True)
    position, shown = (state.position, state.shown) if state else (Position(), frozenset[bytes]())
    fresh = [] if state else _pasted(cache, selection)
    marks = {_mark(key) for key in fresh} | shown
    position, reached = _collect(cache, selection, Budget(seconds=seconds), position, fresh, marks, limit)
    found_rows = keys.rows(cache, fresh, seen=True)
    marks -= {_mark(key) for key in fresh if key not in found_rows}  # expired meanwhile
    ended = position.ended
    return Step(
        rows=tuple(found_rows.values()),
        found=len(marks),
        examined=reached,
        total=position.total,
        ended=ended,
        full=len(fresh) >= limit and not ended,
        state=None if ended and not position.lost else State(position, frozenset(marks)),
        lost=position.lost,
    )


def _pasted(cache: Cache, selection: Selection) -> list[bytes]:
    """A key that has a `*` or `[` in its name, pasted as a pattern: the list begins with it."""
    try:
        return [row.key for row in keys.look_up(cache, selection)]
    except Denied:
        return []  # a user with a prefix of his own need not be allowed a key of this name
    except CacheError:
        if len(cache.primaries()) == 1:
            raise
        return []  # the walk shows what the other primaries have, and says which is lost


def listing(cache: Cache, selection: Selection) -> Iterator[tuple[tuple[Row, ...], Position]]:
    """All rows of a selection, batch by batch, each key once, with the walk's position after each.

    For a command line, which has no pages; it holds 8 bytes (and Python's wrapping) of each key listed.
    Raises CacheError where the cache cannot be asked at all.
    """
    if not selection.has_wildcard:
        yield tuple(keys.look_up(cache, selection)), Position()
        return
    first = keys.rows(cache, _pasted(cache, selection), seen=True)
    shown = {_mark(key) for key in first}
    if first:
        yield tuple(first.values()), Position()
    for batch in walk(cache, selection, Budget()):
        fresh: list[bytes] = []
        _take(batch.found, fresh, shown, len(batch.found))
        yield tuple(keys.rows(cache, fresh, seen=True).values()), batch.position


def _collect(
    cache: Cache,
    selection: Selection,
    budget: Budget,
    position: Position,
    fresh: list[bytes],
    marks: set[bytes],
    limit: int,
) -> tuple[Position, int]:
    """Walk until `fresh` has `limit` keys; the position from which to go on, and how many keys were examined.

    A batch that holds more than the page can take is left unfinished: the next step reads it again
    and the marks leave out what was shown.
    """
    for batch in walk(cache, selection, budget, position):
        taken = _take(batch.found, fresh, marks, limit)
        if taken < len(batch.found):
            before, after = batch.before.examined, batch.position.examined
            return batch.before, before + (after - before) * taken // len(batch.found)
        position = batch.position
        if len(fresh) >= limit:
            break
    return position, position.examined


def _take(batch: Sequence[bytes], fresh: list[bytes], marks: set[bytes], limit: int) -> int:
    """Add the batch's new keys up to the limit; how many of its keys could be dealt with."""
    for taken, key in enumerate(batch):
        mark = _mark(key)
        if mark in marks:
            continue
        if len(fresh) >= limit:
            return taken
        marks.add(mark)
        fresh.append(key)
    return len(batch)


def _mark(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_MARK_BYTES).digest()
