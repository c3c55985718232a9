"""From what was seen of each server to the figures of a Report, each with its interval. Pure.

The servers of a cache are strata: of each is known how many keys it has and how many of them were examined.
A figure is estimated for each stratum by itself and then added up (estimate.sum_of).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dashboard.cache import size_buckets
from dashboard.cache.cliffs import cliffs
from dashboard.cache.estimate import NOTHING, Estimate, count_from_sample, exactly, sum_of, total_from_sample
from dashboard.cache.fold import pattern_of
from dashboard.cache.key_token import printable
from dashboard.cache.report import (
    OTHER,
    Activity,
    BigKey,
    Cliff,
    Expiry,
    Group,
    NamespaceRow,
    Report,
    RuleRow,
    Sizes,
)
from dashboard.cache.rules import Rule
from dashboard.cache.slots import BUCKETS, COUNT, TTL_LABELS, start_of
from dashboard.cache.sums import NO_TTL, ODDITIES, ROW_WIDTH, Question
from dashboard.cache.tally import MOST_BIGGEST, SIZE_WIDTH, Lumps, Row, Tally
from dashboard.cache.wording import span

MOST_NAMED = 500  # namespaces of a finished report
MOST_NAMED_LIVE = 60  # while it runs, the report is made again and again
WITH_TTLS = 100  # of these the TTL distribution is told one by one
WITH_CLIFFS = 64
ENOUGH_BATCHES = 10  # fewer say nothing about how unevenly keys come
KEY_CUT = 1000  # characters of a key's name that are kept


@dataclass(frozen=True)
class Stratum:
    """One server: what was seen of it, how many keys were examined, and how many it has. Ended: it is through."""

    tally: Tally
    examined: int
    population: int
    ended: bool

    @property
    def size(self) -> int:
        """Keys of the population; as many as were examined at the end, else one more at the least."""
        return self.examined if self.ended else max(self.population, self.examined + 1)

    @property
    def weight(self) -> float:
        """How many keys one that was seen stands for."""
        return self.size / self.examined if self.examined else 0.0

    def effect(self, total: float, variance: float, lumps: Lumps) -> float:
        """How many times larger the variance between batches is than `variance`, that of a random sample's mean.

        The ratio estimator's variance over batches as clusters (Cochran, Sampling Techniques, 1977, 9A.1).
        """
        tally = self.tally
        if self.ended or tally.batches < ENOUGH_BATCHES or variance <= 0 or not tally.visited:
            return 1.0
        ratio = total / tally.visited
        deviation = lumps.squares - 2 * ratio * lumps.cross + ratio * ratio * tally.visited_squares
        between = deviation / (tally.batches - 1) * tally.batches / tally.visited**2
        return max(between / variance, 1.0)

    def keys_effect(self, row: Row) -> float:
        share = min(row.keys / self.tally.visited, 1.0) if self.tally.visited else 0.0
        return self.effect(row.keys, share * (1 - share) / max(self.tally.visited, 1), row.lumps)

    def count(self, hits: float, effect: float = 1.0) -> Estimate:
        return exactly(hits) if self.ended else count_from_sample(hits, self.examined, self.size, effect)

    def total(self, row: Row, squares: float) -> Estimate:
        """The bytes of a row, of whose sizes the sum of squares is given."""
        if self.ended:
            return exactly(row.memory)
        n = max(self.tally.visited, 1)
        variance = max(squares / n - (row.memory / n) ** 2, 0.0) / n
        effect = self.effect(row.memory, variance, row.memory_lumps)
        return total_from_sample(row.memory, squares, self.examined, self.size, effect)

    def part(self, memory: float, row: Row, squares: float) -> Estimate:
        """Some of a row's bytes, taken for as uneven as all of them."""
        if self.ended:
            return exactly(memory)
        share = memory / row.memory if row.memory else 0.0
        return total_from_sample(memory, squares * share, self.examined, self.size)


class Reporter:
    """Makes reports of one analysis. `origins` is when its slots count from, epoch seconds."""

    def __init__(self, question: Question, origin: float, missing: Sequence[str], method: Callable[[], str]) -> None:
        self._question = question
        self._origin = origin
        self._missing = tuple(missing)
        self._method = method

    def report(self, strata: Sequence[Stratum], notes: Sequence[str] = (), *, final: bool = False) -> Report:
        """The figures as they are now. `final`: all that is worth keeping, which takes longer."""
        view = _View(strata, self._question)
        sample, population = sum(one.examined for one in strata), sum(one.size for one in strata)
        effect = max((one.keys_effect(row) for one, row in view.largest_rows()), default=1.0)
        named = view.names(MOST_NAMED if final else MOST_NAMED_LIVE)
        slots = view.slots()
        return Report(
            started_at=self._origin,
            sample=sample,
            population=population,
            effect=effect,
            keys=view.keys(view.whole()),
            memory=view.memory(view.whole()),
            without_ttl=view.without(view.whole_cells()),
            without_ttl_memory=view.without_memory(view.whole()),
            ttl=tuple(view.ttl_groups(slots)) if self._question.ttls else (),
            types=tuple(view.types()),
            encodings=tuple(view.encodings()),
            sizes=view.sizes(None),
            namespaces=(
                *(view.row(name, detailed=place < WITH_TTLS) for place, name in enumerate(named)),
                *view.other(named),
            ),
            namespaces_found=len(view.all_names()),
            bound=sum(one.tally.bound for one in strata),
            biggest=tuple(view.biggest()),
            expiry=view.expiry(slots, self._origin),
            cliffs=tuple(view.cliffs(self._origin, slots)),
            rules=tuple(view.rules(self._question.rules)),
            activity=view.activity(),
            missing=self._missing,
            method=self._method(),
            notes=tuple(notes),
        )


SQUARES = tuple(size_buckets.middle_of(bucket) ** 2 for bucket in range(SIZE_WIDTH // 2))

Rows = list[tuple[Stratum, Row]]
T = TypeVar("T")


class _View:
    """One look at all strata; what is needed more than once is worked out once."""

    def __init__(self, strata: Sequence[Stratum], question: Question) -> None:
        self._strata = strata
        self._question = question
        self._cells = [_by_row(one.tally.cells, ROW_WIDTH) for one in strata]
        self._sizes = [_by_row(one.tally.sizes, SIZE_WIDTH) for one in strata]
        self._squares = [
            {number: sum(keys * SQUARES[bucket] for bucket, keys in sizes.items()) for number, sizes in by_row.items()}
            for by_row in self._sizes
        ]
        self._totals: Counter[bytes] = Counter()
        memory: Counter[bytes] = Counter()
        for one in strata:
            for name, row in one.tally.rows.items():
                self._totals[name] += round(row.keys * one.weight)
                memory[name] += round(row.memory * one.weight)
        self._ranks = memory if question.memory else self._totals

    # --- which rows ----------------------------------------------------------------------------------------

    def all_names(self) -> Mapping[bytes, int]:
        return self._totals

    def names(self, most: int) -> list[bytes]:
        return sorted(self._ranks, key=lambda name: (-self._ranks[name], name))[:most]

    def whole(self) -> Rows:
        return [(one, one.tally.whole) for one in self._strata]

    def largest_rows(self) -> Rows:
        return [(one, max(one.tally.rows.values(), key=lambda row: row.keys)) for one in self._strata if one.tally.rows]

    def _of(self, name: bytes) -> Rows:
        return [(one, one.tally.rows[name]) for one in self._strata if name in one.tally.rows]

    # --- figures -------------------------------------------------------------------------------------------

    def keys(self, rows: Rows) -> Estimate:
        return _sum(one.count(row.keys, one.keys_effect(row)) for one, row in rows)

    def memory(self, rows: Rows) -> Estimate | None:
        return _sum(one.total(row, self._squares_of(one, row)) for one, row in rows) if self._question.memory else None

    def _part(self, one: Stratum, memory: float) -> Estimate:
        """Some of all bytes."""
        return one.part(memory, one.tally.whole, self._squares_of(one, one.tally.whole))

    def _squares_of(self, one: Stratum, row: Row) -> float:
        """The sum of squares of a row's sizes, from their buckets: right to within a few per cent."""
        squares = self._squares[self._strata.index(one)]
        return sum(squares.values()) if row is one.tally.whole else squares.get(row.id, 0.0)

    def without_memory(self, rows: Rows) -> Estimate | None:
        if not (self._question.memory and self._question.ttls):
            return None
        return _sum(one.part(row.without_memory, row, self._squares_of(one, row)) for one, row in rows)

    def whole_cells(self) -> list[tuple[Stratum, int]]:
        """Keys without TTL of each stratum."""
        return [
            (one, sum(cells.get(NO_TTL, 0) for cells in by_row.values()))
            for one, by_row in zip(self._strata, self._cells, strict=True)
        ]

    def without(self, counts: Iterable[tuple[Stratum, int]]) -> Estimate:
        return _sum(one.count(keys) for one, keys in counts) if self._question.ttls else NOTHING

    def slots(self) -> list[list[int]]:
        """Keys seen in each slot, for each stratum."""
        found = []
        for one, by_row in zip(self._strata, self._cells, strict=True):
            seen = list(one.tally.slot_keys)
            for cells in by_row.values():
                for slot, keys in cells.items():
                    seen[slot] += keys
            found.append(seen)
        return found

    def ttl_groups(self, slots: Sequence[Sequence[int]]) -> Iterator[Group]:
        """Keys and bytes of each TTL bucket; those without TTL stand apart (Report.without_ttl)."""
        for bucket, label in enumerate(TTL_LABELS):
            of_bucket = [slot for slot in range(COUNT) if BUCKETS[slot] == bucket]
            keys = _sum(
                one.count(sum(seen[slot] for slot in of_bucket)) for one, seen in zip(self._strata, slots, strict=True)
            )
            memory = (
                _sum(self._part(one, sum(one.tally.slot_memory[slot] for slot in of_bucket)) for one in self._strata)
                if self._question.memory
                else None
            )
            yield Group(label, keys, memory)

    def types(self) -> list[Group]:
        """Keys and bytes of each type; strings are what no other type has."""
        kinds = {kind for one in self._strata for kind in one.tally.types}
        counted = [(one, _type_counts(one.tally)) for one in self._strata]
        found = []
        for kind in (*kinds, b"string"):
            keys = _sum(one.count(counts[kind][0]) for one, counts in counted)
            memory = _sum(self._part(one, counts[kind][1]) for one, counts in counted)
            if keys.value:
                found.append(Group(kind.decode("ascii", "replace"), keys, memory if self._question.memory else None))
        return sorted(found, key=lambda group: (-group.keys.value, group.name))

    def encodings(self) -> list[Group]:
        groups = self._asked_groups([one.tally.encodings for one in self._strata], lambda name: name.decode())
        return sorted(groups, key=lambda group: (-group.keys.value, group.name))

    def activity(self) -> Activity:
        if not (self._question.object and self._question.activity):
            return Activity()
        idle = self._question.activity == "IDLETIME"
        tables = [one.tally.active for one in self._strata]
        octaves = sorted({octave for table in tables for octave in table})
        groups = {group.name: group for group in self._asked_groups(tables, _idle_words if idle else _use_words)}
        words = [_idle_words(octave) if idle else _use_words(octave) for octave in octaves]
        return Activity(
            "idle" if idle else "frequency",
            tuple(groups[name] for name in dict.fromkeys(words)),
            self._question.every,
        )

    def _asked_groups(self, tables: Sequence[Mapping[T, list[int]]], words: Callable[[T], str]) -> list[Group]:
        """Of figures for which one key in `every` was asked."""
        parts: dict[str, list[tuple[Estimate, Estimate]]] = {}
        names = {name for table in tables for name in table}
        for name in names:
            for one, table in zip(self._strata, tables, strict=True):
                keys, memory, squares = table.get(name, (0, 0, 0))
                parts.setdefault(words(name), []).append(self._asked(one, keys, memory, squares))
        return [
            Group(name, _sum(keys for keys, _ in found), _sum(m for _, m in found) if self._question.memory else None)
            for name, found in parts.items()
        ]

    def _asked(self, one: Stratum, keys: int, memory: int, squares: int) -> tuple[Estimate, Estimate]:
        asked = one.tally.asked
        matching = max(round(one.tally.whole.keys * one.weight), asked)
        if one.ended and asked == one.tally.whole.keys:
            return exactly(keys), exactly(memory)
        population = max(matching, asked + 1)
        return (
            count_from_sample(keys, asked, population),
            total_from_sample(memory, squares, asked, population) if asked else NOTHING,
        )

    def sizes(self, name: bytes | None) -> Sizes | None:
        """Of one namespace, or of all keys."""
        if not self._question.memory:
            return None
        buckets: Counter[int] = Counter()
        keys = memory = 0
        for one, by_row in zip(self._strata, self._sizes, strict=True):
            row = one.tally.whole if name is None else one.tally.rows.get(name)
            if row is None:
                continue
            keys, memory = keys + row.keys, memory + row.memory
            for number, sizes in by_row.items():
                if name is None or number == row.id:
                    buckets.update(sizes)
        if not keys:
            return None
        p50, p90, p99 = (size_buckets.percentile(buckets, share) for share in (0.5, 0.9, 0.99))
        return Sizes(memory / keys, p50, p90, p99, self._largest(name, buckets))

    def _largest(self, name: bytes | None, buckets: Mapping[int, int]) -> int:
        """The largest size: exactly where it is one of the largest keys, else as its bucket says."""
        if name is None:
            known = [one.memory for stratum in self._strata for one in stratum.tally.biggest.values()]
            if known:
                return max(known)
        return round(size_buckets.middle_of(max(buckets)))

    # --- namespaces ----------------------------------------------------------------------------------------

    def row(self, name: bytes, *, detailed: bool) -> NamespaceRow:
        rows = self._of(name)
        cells = [(one, self._cells_of(one, row)) for one, row in rows]
        return NamespaceRow(
            name=printable(name),
            keys=self.keys(rows),
            memory=self.memory(rows),
            without_ttl=self.without((one, found.get(NO_TTL, 0)) for one, found in cells),
            without_ttl_memory=self.without_memory(rows),
            example=printable(rows[0][1].example)[:200],
            missed=sum(row.missed for _, row in rows),
            ttl=tuple(self._ttl_of(rows)) if detailed and self._question.ttls else (),
            types=tuple(self._types_of(rows)),
            sizes=self.sizes(name),
            odd=self._odd(rows),
            odd_examples={
                ODDITIES[place - 1]: printable(example)[:200]
                for _, row in rows
                for place, example in row.odd_examples.items()
            },
        )

    def other(self, named: Sequence[bytes]) -> Iterator[NamespaceRow]:
        """The row of all namespaces that are not named, where there are such."""
        beyond = [name for name in self._totals if name not in set(named)]
        rows = [pair for name in beyond for pair in self._of(name)]
        rows += [(one, one.tally.other) for one in self._strata if one.tally.other.keys]
        if not rows:
            return
        cells = [(one, self._cells_of(one, row).get(NO_TTL, 0)) for one, row in rows]
        yield NamespaceRow(
            name=OTHER,
            keys=self.keys(rows),
            memory=self.memory(rows),
            without_ttl=self.without(cells),
            without_ttl_memory=self.without_memory(rows),
            example="",
            types=tuple(self._types_of(rows)),
            odd=self._odd(rows),
        )

    def _cells_of(self, one: Stratum, row: Row) -> Mapping[int, int]:
        return self._cells[self._strata.index(one)].get(row.id, {})

    def _ttl_of(self, rows: Rows) -> Iterator[Estimate]:
        counts = []
        for one, row in rows:
            buckets = list(row.ttl)
            for slot, keys in self._cells_of(one, row).items():
                if slot != NO_TTL:
                    buckets[BUCKETS[slot]] += keys
            counts.append((one, buckets))
        for bucket in range(len(TTL_LABELS)):
            yield _sum(one.count(buckets[bucket]) for one, buckets in counts)

    def _types_of(self, rows: Rows) -> list[Group]:
        kinds = {kind for _, row in rows for kind in row.types}
        groups = [
            Group(kind.decode("ascii", "replace"), _sum(one.count(row.types[kind]) for one, row in rows))
            for kind in kinds
        ]
        strings = _sum(one.count(row.keys - row.types.total()) for one, row in rows)
        if strings.value:
            groups.append(Group("string", strings))
        return sorted(groups, key=lambda group: (-group.keys.value, group.name))

    def _odd(self, rows: Rows) -> dict[str, Estimate]:
        places = {place for _, row in rows for place in row.odd}
        return {ODDITIES[place - 1]: _sum(one.count(row.odd[place]) for one, row in rows) for place in sorted(places)}

    # --- the rest ------------------------------------------------------------------------------------------

    def biggest(self) -> Iterator[BigKey]:
        found = [one for stratum in self._strata for one in stratum.tally.biggest.values()]
        for one in sorted(found, key=lambda one: (-one.memory, one.key))[:MOST_BIGGEST]:
            name = printable(one.key)
            yield BigKey(
                name=name[:KEY_CUT],
                type=one.type.decode("ascii", "replace"),
                memory=one.memory,
                ttl=one.pttl / 1000 if one.pttl >= 0 else -1.0,
                members=one.members if one.members >= 0 else None,
                cut=max(len(name) - KEY_CUT, 0),
            )

    def expiry(self, slots: Sequence[Sequence[int]], origin: float) -> Expiry:
        keys, memory = [0.0] * COUNT, [0.0] * COUNT
        for one, seen in zip(self._strata, slots, strict=True):
            for slot in range(COUNT):
                if seen[slot]:
                    keys[slot] += seen[slot] * one.weight
                    memory[slot] += one.tally.slot_memory[slot] * one.weight
        return Expiry(
            origin,
            tuple((slot, value) for slot, value in enumerate(keys) if value),
            tuple((slot, value) for slot, value in enumerate(memory) if value) if self._question.memory else (),
        )

    def cliffs(self, origin: float, slots: Sequence[Sequence[int]]) -> Iterator[Cliff]:
        """Of the largest namespaces, and of the keyspace where that has one that none of them explains."""
        found: list[Cliff] = []
        by_keys = sorted(self._totals, key=lambda name: (-self._totals[name], name))[:WITH_CLIFFS]
        for name in by_keys:
            counts: Counter[int] = Counter()
            for one, row in self._of(name):
                counts.update({slot: keys for slot, keys in self._cells_of(one, row).items() if slot != NO_TTL})
            found += self._cliffs_of(printable(name), printable(pattern_of(name)), counts, origin)
        whole = {slot: sum(seen[slot] for seen in slots) for slot in range(COUNT)}
        known = [(cliff.at, cliff.at + cliff.seconds) for cliff in found]
        selected = printable(self._question.selection.pattern)
        for cliff in self._cliffs_of("", selected, {slot: keys for slot, keys in whole.items() if keys}, origin):
            if not any(start < cliff.at + cliff.seconds and cliff.at < end for start, end in known):
                found.append(cliff)
        yield from sorted(found, key=lambda cliff: -cliff.keys.value)

    def _cliffs_of(self, name: str, pattern: str, counts: Mapping[int, int], origin: float) -> Iterator[Cliff]:
        sample, size = sum(one.examined for one in self._strata), sum(one.size for one in self._strata)
        ended = all(one.ended for one in self._strata)
        for one in cliffs(counts):
            keys = exactly(one.count) if ended else count_from_sample(one.count, sample, size)
            scale = 1.0 if ended or not sample else size / sample
            yield Cliff(name, pattern, origin + start_of(one.slot), one.seconds, keys, one.usual_per_second * scale)

    def rules(self, rules: Sequence[Rule]) -> Iterator[RuleRow]:
        for place, rule in enumerate(rules):
            standing = [(one, one.tally.standing[place]) for one in self._strata if one.tally.standing]
            longest = max((counts[4] for _, counts in standing), default=-1)
            inside, below, above, without = (
                _sum(one.count(counts[which]) for one, counts in standing) for which in range(4)
            )
            yield RuleRow(
                rule.id,
                printable(rule.pattern),
                rule.low,
                rule.high,
                rule.reason,
                inside,
                below,
                above,
                without,
                longest / 1000 if longest >= 0 else None,
            )


def _sum(parts: Iterable[Estimate]) -> Estimate:
    found = list(parts)
    return sum_of(found) if found else NOTHING


def _by_row(table: Mapping[int, int], width: int) -> dict[int, dict[int, int]]:
    rows: dict[int, dict[int, int]] = {}
    for code, keys in table.items():
        number, rest = divmod(code, width)
        row = rows.get(number)
        if row is None:
            row = rows[number] = {}
        row[rest] = keys
    return rows


def _type_counts(tally: Tally) -> dict[bytes, tuple[int, int]]:
    kinds: Counter[bytes] = Counter()
    for row in (*tally.rows.values(), tally.other):
        kinds.update(row.types)
    counts = {kind: (kinds[kind], tally.types[kind]) for kind in kinds}
    strings = tally.whole.keys - kinds.total(), tally.whole.memory - tally.types.total()
    found: dict[bytes, tuple[int, int]] = _Zeroes(counts)
    found[b"string"] = strings
    return found


class _Zeroes(dict[bytes, tuple[int, int]]):
    def __missing__(self, kind: bytes) -> tuple[int, int]:
        return 0, 0


def _idle_words(octave: int) -> str:
    """An octave of seconds: 0 for none, n for 2^(n-1) to 2^n."""
    if octave <= 0:
        return "under 1 s"
    return f"{span(2 ** (octave - 1))} to {span(2**octave)}"


def _use_words(octave: int) -> str:
    """An octave of LFU's logarithmic counter, 0 to 255."""
    if octave <= 1:
        return str(octave)
    return f"{2 ** (octave - 1)} to {2**octave - 1}"
