"""What a report says of all keys together: TTLs, types, encodings, how they are used, how large they are. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from dashboard.cache.analysis import size_buckets
from dashboard.cache.analysis.report import Activity, Group, Sizes
from dashboard.cache.analysis.slots import BUCKETS, COUNT, TTL_LABELS
from dashboard.cache.analysis.strata import Rows, Stratum, add
from dashboard.cache.analysis.sums import Question
from dashboard.cache.analysis.tally import Tally
from dashboard.cache.estimate import NOTHING, Estimate, bytes_from_sample, count_from_sample, exactly
from dashboard.cache.wording import span

T = TypeVar("T")
STRING = b"string "
_SLOTS = tuple(tuple(slot for slot in range(COUNT) if BUCKETS[slot] == bucket) for bucket in range(len(TTL_LABELS)))


def ttl_groups(strata: Sequence[Stratum], slots: Sequence[Sequence[int]], question: Question) -> Iterator[Group]:
    """Keys and bytes of each TTL bucket; those without TTL stand apart (Report.without_ttl)."""
    for label, of_bucket in zip(TTL_LABELS, _SLOTS, strict=True):
        hits = [sum(seen[slot] for slot in of_bucket) for seen in slots]
        keys = add(one.count(found) for one, found in zip(strata, hits, strict=True))
        memory = add(
            one.part(found, sum(one.tally.slot_memory[slot] for slot in of_bucket), one.tally.whole)
            for one, found in zip(strata, hits, strict=True)
        )
        yield Group(label, keys, memory if question.memory else None)


def types(strata: Sequence[Stratum], question: Question) -> list[Group]:
    """Keys and bytes of each type; strings are what no other type has."""
    counted = [(one, _type_counts(one.tally)) for one in strata]
    kinds = {kind for _, counts in counted for kind in counts}
    found = []
    for kind in kinds:
        keys = add(one.count(counts.get(kind, (0, 0))[0]) for one, counts in counted)
        memory = add(one.part(*counts.get(kind, (0, 0)), one.tally.whole) for one, counts in counted)
        if keys.value:
            found.append(Group(kind.decode("ascii", "replace"), keys, memory if question.memory else None))
    return sorted(found, key=_most_first)


def _type_counts(tally: Tally) -> dict[bytes, tuple[int, int]]:
    kinds: Counter[bytes] = Counter()
    for row in (*tally.rows.values(), tally.other):
        kinds.update(row.types)
    strings = tally.whole.keys - kinds.total(), tally.whole.memory - tally.types.total()
    return {kind: (kinds[kind], tally.types[kind]) for kind in kinds} | {b"string": strings}


def encodings(strata: Sequence[Stratum], question: Question) -> list[Group]:
    """Keys and bytes of each encoding, named with its type: `hash listpack`.

    Collections are asked one by one, strings as a sample of all strings, of which is known how many there are and
    how large they are together.
    """
    if not question.object:
        return []
    found = []
    for name in {name for one in strata for name in one.tally.encodings}:
        parts = [_encoded(one, name) for one in strata]
        keys, memory = add(keys for keys, _ in parts), add(memory for _, memory in parts)
        found.append(Group(name.decode("ascii", "replace"), keys, memory if question.memory else None))
    return sorted(found, key=_most_first)


def _encoded(one: Stratum, name: bytes) -> tuple[Estimate, Estimate]:
    keys, memory, squares = one.tally.encodings.get(name, (0, 0, 0))
    if not name.startswith(STRING):
        return one.count(keys), one.part(keys, memory, one.tally.whole)
    of_strings = [group for other, group in one.tally.encodings.items() if other.startswith(STRING)]
    asked = sum(group[0] for group in of_strings)
    strings, bytes_of_strings = _type_counts(one.tally)[b"string"]
    if one.ended and asked == strings:
        return exactly(keys), exactly(memory)
    population = max(round(strings * one.weight), asked + 1)
    counted = count_from_sample(keys, asked, population)
    bytes_asked = sum(group[1] for group in of_strings)
    told = bytes_from_sample(keys, memory, squares, asked, population, one.usual)
    # All strings together are known (or estimated from far more keys): that much their encodings add up to.
    scale = bytes_of_strings * one.weight / (bytes_asked * population / asked) if bytes_asked else 1.0
    return counted, Estimate(*(figure * scale for figure in told))


def activity(strata: Sequence[Stratum], question: Question) -> Activity:
    """How long keys have been idle, or how often they are used, by octaves."""
    if not (question.object and question.activity):
        return Activity()
    idle = question.activity == "IDLETIME"
    tables = [one.tally.active for one in strata]
    words = idle_words if idle else _use_words
    groups = {group.name: group for group in _asked_groups(strata, tables, words, question)}
    octaves = sorted({octave for table in tables for octave in table})
    in_order = tuple(groups[name] for name in dict.fromkeys(words(octave) for octave in octaves))
    return Activity("idle" if idle else "frequency", in_order, question.every)


def _asked_groups(
    strata: Sequence[Stratum], tables: Sequence[Mapping[T, list[int]]], words: Callable[[T], str], question: Question
) -> list[Group]:
    """Of figures for which one key in `every` was asked."""
    parts: dict[str, list[tuple[Estimate, Estimate]]] = {}
    for name in {name for table in tables for name in table}:
        for one, table in zip(strata, tables, strict=True):
            parts.setdefault(words(name), []).append(_asked(one, *table.get(name, (0, 0, 0))))
    # The bytes of a few sampled keys say little about those of all: one large key is asked or is not.
    told = question.memory and question.every == 1
    return [
        Group(name, add(keys for keys, _ in found), add(memory for _, memory in found) if told else None)
        for name, found in parts.items()
    ]


def _asked(one: Stratum, keys: int, memory: int, squares: int) -> tuple[Estimate, Estimate]:
    asked, seen = one.tally.asked, one.tally.whole.keys
    if one.ended and asked == seen:
        return exactly(keys), exactly(memory)
    if not asked:
        return NOTHING, NOTHING
    population = max(round(seen * one.weight), asked + 1)
    return (
        count_from_sample(keys, asked, population),
        bytes_from_sample(keys, memory, squares, asked, population, one.usual),
    )


def sizes_of(rows: Rows) -> Sizes | None:
    """How large the keys of a namespace are, or all keys."""
    buckets: Counter[int] = Counter()
    for one, row in rows:
        for sizes in one.sizes.values() if row is one.tally.whole else [one.sizes.get(row.id, {})]:
            buckets.update(sizes)
    keys, memory = sum(row.keys for _, row in rows), sum(row.memory for _, row in rows)
    if not keys or not memory:
        return None
    mean, largest = memory / keys, _largest(rows, buckets)
    if len(buckets) == 1:  # all of one size, as far as can be told
        return Sizes(mean, mean, mean, mean, largest if keys > 1 else round(mean))
    p50, p90, p99 = (min(size_buckets.percentile(buckets, share), float(largest)) for share in (0.5, 0.9, 0.99))
    return Sizes(mean, p50, p90, p99, largest)


def _largest(rows: Rows, buckets: Mapping[int, int]) -> int:
    """Exactly where it is one of the largest keys of all, else as its bucket says."""
    known = [size for one, row in rows if (size := one.largest(row))]
    return max(known, default=round(size_buckets.middle_of(max(buckets))))


def _most_first(group: Group) -> tuple[float, str]:
    return -group.keys.value, group.name


def idle_words(octave: int) -> str:
    """An octave of seconds: 0 for none, n for 2^(n-1) to 2^n."""
    return "under 1 s" if octave <= 0 else f"{span(2 ** (octave - 1))} to {span(2**octave)}"


def _use_words(octave: int) -> str:
    """An octave of LFU's logarithmic counter, 0 to 255."""
    return str(octave) if octave <= 1 else f"{2 ** (octave - 1)} to {2**octave - 1}"
