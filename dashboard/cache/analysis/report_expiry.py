"""What a report says of when keys expire: the slots of time, and the cliffs in them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from dashboard.cache.analysis.cliffs import cliffs
from dashboard.cache.analysis.report import Cliff, Expiry
from dashboard.cache.analysis.slots import COUNT, start_of
from dashboard.cache.analysis.strata import Stratum, rows_of
from dashboard.cache.analysis.sums import NO_TTL, Question
from dashboard.cache.estimate import count_from_sample, exactly
from dashboard.cache.selecting.fold import pattern_of
from dashboard.cache.selecting.key_token import printable

WITH_CLIFFS = 64  # namespaces that are looked at, the ones with the most keys


def seen_in_slots(strata: Sequence[Stratum]) -> list[list[int]]:
    """Keys seen in each slot, for each stratum; the last one is that of keys without TTL."""
    found = []
    for one in strata:
        seen = list(one.tally.slot_keys)
        for cells in one.cells.values():
            for slot, keys in cells.items():
                seen[slot] += keys
        found.append(seen)
    return found


def expiry(strata: Sequence[Stratum], slots: Sequence[Sequence[int]], question: Question, origin: float) -> Expiry:
    """What expires in each slot, scaled up."""
    keys, memory = [0.0] * COUNT, [0.0] * COUNT
    for one, seen in zip(strata, slots, strict=True):
        for slot in range(COUNT):
            if seen[slot]:
                keys[slot] += seen[slot] * one.weight
                memory[slot] += one.tally.slot_memory[slot] * one.weight
    in_keys = tuple((slot, value) for slot, value in enumerate(keys) if value)
    in_memory = tuple((slot, value) for slot, value in enumerate(memory) if value)
    return Expiry(origin, in_keys, in_memory if question.memory else ())


def found_cliffs(
    strata: Sequence[Stratum], slots: Sequence[Sequence[int]], question: Question, origin: float
) -> list[Cliff]:
    """Of the largest namespaces, and of the keyspace where it has some that none of them explains; highest first."""
    keys: Counter[bytes] = Counter()
    for one in strata:
        keys.update({name: row.keys for name, row in one.tally.rows.items()})
    found: list[Cliff] = []
    for name in sorted(keys, key=lambda name: (-keys[name], name))[:WITH_CLIFFS]:
        counts: Counter[int] = Counter()
        for one, row in rows_of(strata, name):
            counts.update(one.cells.get(row.id, {}))
        del counts[NO_TTL]
        found += _cliffs(strata, printable(name), printable(pattern_of(name)), counts, origin)
    known = [(cliff.at, cliff.at + cliff.seconds) for cliff in found]
    together = {slot: total for slot in range(COUNT) if (total := sum(seen[slot] for seen in slots))}
    found += [
        cliff
        for cliff in _cliffs(strata, "", printable(question.selection.pattern), together, origin)
        if not any(start < cliff.at + cliff.seconds and cliff.at < end for start, end in known)
    ]
    return sorted(found, key=lambda cliff: -cliff.keys.value)


def _cliffs(
    strata: Sequence[Stratum], name: str, pattern: str, counts: Mapping[int, int], origin: float
) -> Iterator[Cliff]:
    sample, size = sum(one.examined for one in strata), sum(one.size for one in strata)
    ended = all(one.ended for one in strata)
    scale = 1.0 if ended or not sample else size / sample
    for one in cliffs(counts):
        keys = exactly(one.count) if ended else count_from_sample(one.count, sample, size)
        yield Cliff(name, pattern, origin + start_of(one.slot), one.seconds, keys, one.usual_per_second * scale)
