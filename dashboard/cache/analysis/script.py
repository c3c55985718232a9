"""One batch of an analysis by a script on the server: SCAN and all that is asked of each key in one call.

The numbers of a key leave the server, two of them, but no names: what a batch of 500 keys sends is some 5 kB.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from dashboard.cache.analysis.sums import BigSums, Question, RowSums, Sums
from dashboard.cache.errors import checked
from dashboard.cache.selecting.fold import namespace_of
from dashboard.cache.servers import scripts
from dashboard.cache.servers.calls import Step, Visited
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.scan import examined_by

_SCRIPT = scripts.load("servers/clock.lua", "analysis/analysis.lua")
KIND_COUNT = 4  # oddities, each with an example
EXAMPLE = 200  # bytes of a key's name
MOST_SHAPES = 50_000


def batch_by_script(
    cache: Cache, question: Question, cursor: int, count: int, *, command: str, origin_ms: int, biggest: int
) -> Step[Sums]:
    """One round trip. command: EVAL or EVAL_RO. origin_ms: the moment from which slots count, by that server's clock.

    biggest: keys of more bytes are named. Raises CacheError.
    """
    selection = question.selection
    command_and_arguments = (
        command,
        _SCRIPT,
        0,
        cursor,
        count,
        b"" if selection.glob == b"*" else selection.glob,
        selection.type,
        question.separator,
        origin_ms,
        _flags(question),
        question.every,
        biggest,
        question.long_name,
        question.large_value,
        question.many_members,
        *selection.ttl_bounds,
        *selection.size_bounds,
        round(time.time() * 1000),
        question.phase(),
        *_rules(question),
    )
    (reply,) = yield [command_and_arguments]
    checked(reply, cache.name)
    following, visited = int(reply[0]), int(reply[1])
    examined = examined_by(selection, following, count, visited)
    return Visited(following, examined, _sums(reply, examined, question.separator), scripts.held(reply[-1]))


def _flags(question: Question) -> str:
    activity = {"IDLETIME": "i", "FREQ": "f"}.get(question.activity, "")
    wanted = (
        ("p", question.ttls),
        ("m", question.memory),
        ("o", question.object),
        ("t", question.typed),
        ("l", question.lengths),
        ("k", question.types),
    )
    return "".join(flag for flag, on in wanted if on) + activity


def _rules(question: Question) -> Iterable[Any]:
    yield len(question.rules)
    for rule in question.rules:
        has_digits = any(0x30 <= byte <= 0x39 for byte in rule.pattern)
        yield from (round(rule.low * 1000), round(rule.high * 1000), int(has_digits), len(rule.parts), *rule.parts)


def _sums(reply: Sequence[Any], examined: int, separator: bytes) -> Sums:
    _, _, _, gone, asked, codes, sizes, rows, types, encodings, active, largest, standing, uncounted, _ = reply
    return Sums(
        visited=examined,
        codes=codes,
        sizes=sizes,
        rows=[_row(row, separator) for row in rows],
        gone=gone,
        asked=asked,
        types=_map(types),
        encodings=_groups(encodings),
        active=_groups(active),
        largest=[BigSums(*entry) for entry in largest],
        standing=standing,
        uncounted=uncounted,
    )


def _row(row: Sequence[Any], separator: bytes) -> RowSums:
    shape, keys, memory, without_memory, beginning, _, types, odd = row
    notes = _map(odd)
    return RowSums(
        name=_name(shape, beginning, separator),
        example=beginning[:EXAMPLE],
        keys=keys,
        memory=memory,
        without_memory=without_memory,
        types=_map(types),
        odd={place: notes[place] for place in range(1, KIND_COUNT + 1) if place in notes},
        odd_examples={
            place: notes[place + KIND_COUNT] for place in range(1, KIND_COUNT + 1) if place + KIND_COUNT in notes
        },
    )


_names: dict[tuple[bytes, bytes], bytes] = {}


def _name(shape: bytes, beginning: bytes, separator: bytes) -> bytes:
    """The namespace of keys of a shape, from the beginning of one of them; folded once for each shape."""
    name = _names.get((shape, separator))
    if name is None:
        if len(_names) >= MOST_SHAPES:
            _names.clear()
        name = _names[shape, separator] = namespace_of(beginning, separator)
    return name


def _groups(flat: Sequence[Any]) -> dict[Any, tuple[int, int, int]]:
    return {name: (keys, memory, int(squares)) for name, (keys, memory, squares) in _map(flat).items()}


def _map(flat: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
