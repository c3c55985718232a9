"""The servers of a cache as strata of one population, and how a figure of all of them is estimated. Pure.

Of each server it is known how many keys it has and how many of them were examined. A figure is estimated for
each by itself and then added up (estimate.sum_of).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dashboard.cache.analysis import size_buckets
from dashboard.cache.analysis.slots import BUCKETS
from dashboard.cache.analysis.sums import NO_TTL, ROW_WIDTH
from dashboard.cache.analysis.tally import MOST_BLOCKS, SIZE_WIDTH, Lumps, Row, Tally
from dashboard.cache.estimate import (
    NOT_SEEN,
    NOTHING,
    Z_95,
    Estimate,
    Usual,
    bytes_from_sample,
    count_from_sample,
    exactly,
    student,
    sum_of,
)

FEW_BLOCKS = 30.0  # the effect that is taken for granted where one block says nothing of it
_SQUARES = tuple(size_buckets.middle_of(bucket) ** 2 for bucket in range(SIZE_WIDTH // 2))


@dataclass(frozen=True)
class Stratum:
    """One server: what was seen of it, how many keys were examined, and how many it has. Ended: it is through.

    What is worked out from the tally is worked out once: it must not grow while this is looked at.
    like: what keys of the other servers are like, for one of which nothing was seen.
    """

    tally: Tally
    examined: int
    population: int
    ended: bool
    like: Usual = NOT_SEEN

    @property
    def size(self) -> int:
        """Keys of the population; as many as were examined at the end, else one more at the least."""
        return self.examined if self.ended else max(self.population, self.examined + 1)

    @property
    def weight(self) -> float:
        """How many keys one that was seen stands for."""
        return self.size / self.examined if self.examined else 0.0

    @cached_property
    def cells(self) -> Mapping[int, Mapping[int, int]]:
        """Row -> slot -> keys seen."""
        return _by_row(self.tally.cells, ROW_WIDTH)

    @cached_property
    def sizes(self) -> Mapping[int, Mapping[int, int]]:
        """Row -> size bucket -> keys seen."""
        return _by_row(self.tally.sizes, SIZE_WIDTH)

    @cached_property
    def _squares(self) -> Mapping[int, float]:
        return {
            number: sum(keys * _SQUARES[bucket] for bucket, keys in sizes.items()) + _SQUARES[max(sizes)]
            for number, sizes in self.sizes.items()
        }

    def squares(self, row: Row) -> float:
        """The sum of squares of a row's sizes, from their buckets: right to within a few per cent.

        The largest size stands in it once more: of rare large keys a sample has rather too few than too many, and
        nearly all of the variance is theirs.
        """
        return sum(self._squares.values()) if row is self.tally.whole else self._squares.get(row.id, 0.0)

    @cached_property
    def _largest(self) -> Mapping[bytes, int]:
        """The largest size in each namespace that one of the biggest keys belongs to."""
        sizes: dict[bytes, int] = {}
        for key in self.tally.biggest.values():
            name = self.tally.name_of(key.key)
            sizes[name] = max(sizes.get(name, 0), key.memory)
        return sizes

    def largest(self, row: Row) -> int:
        """The size of a row's largest key, where it is one of the biggest of this server; else 0."""
        return max(self._largest.values(), default=0) if row is self.tally.whole else self._largest.get(row.name, 0)

    @cached_property
    def usual_effect(self) -> float:
        """The design effect of the largest namespace, for figures that have none of their own."""
        rows = self.tally.rows.values()
        return self.keys_effect(max(rows, key=lambda row: row.keys)) if rows else 1.0

    def keys_effect(self, row: Row) -> float:
        """The design effect of a row's count."""
        share = min(row.keys / self.tally.visited, 1.0) if self.tally.visited else 0.0
        return self._effect(share * (1 - share), row.lumps, row.lumps_before)

    def _memory_effect(self, row: Row) -> float:
        """The design effect of a row's bytes."""
        n = max(self.tally.visited, 1)
        return self._effect(self.squares(row) / n - (row.memory / n) ** 2, row.memory_lumps, row.memory_lumps_before)

    def _effect(self, variance: float, lumps: Lumps, lumps_before: Lumps) -> float:
        """How many times larger the variance between blocks is than that of a random sample, where one key has
        `variance`; the more, the fewer blocks there are to tell it from.

        The ratio estimator's variance over blocks as clusters (Cochran, Sampling Techniques, 1977, 9A.1).
        """
        tally = self.tally
        if self.ended or not tally.lumpy or variance <= 0:
            return 1.0
        blocks = tally.blocks
        if blocks.count < MOST_BLOCKS / 2 and tally.blocks_before.count:
            blocks, lumps = tally.blocks_before, lumps_before
        if blocks.count < 2:
            return FEW_BLOCKS
        ratio = lumps.total / blocks.visited
        deviation = lumps.squares - 2 * ratio * lumps.cross + ratio * ratio * blocks.squares
        between = deviation / (blocks.count - 1) * blocks.count / blocks.visited
        return max(between / variance, 1.0) * student(blocks.count - 1) ** 2 / Z_95**2

    def count(self, hits: float, effect: float | None = None) -> Estimate:
        """Keys with a property that `hits` of those seen have."""
        if self.ended:
            return exactly(hits)
        return count_from_sample(hits, self.examined, self.size, self.usual_effect if effect is None else effect)

    def total(self, row: Row) -> Estimate:
        """The bytes of a row."""
        if self.ended:
            return exactly(row.memory)
        effect = self._memory_effect(row)
        return bytes_from_sample(row.keys, row.memory, self.squares(row), self.examined, self.size, self.usual, effect)

    def part(self, hits: float, memory: float, row: Row) -> Estimate:
        """The bytes of some of a row's keys, `hits`, whose sizes are taken for as uneven as all of them."""
        if self.ended:
            return exactly(memory)
        squares = self.squares(row) * memory / row.memory if row.memory else 0.0
        return bytes_from_sample(hits, memory, squares, self.examined, self.size, self.usual, self.usual_effect)

    @cached_property
    def usual(self) -> Usual:
        """What the sizes of all keys seen are like."""
        keys, memory = self.tally.whole.keys, self.tally.whole.memory
        if not memory:
            return self.like
        return Usual(memory / keys, max(self.squares(self.tally.whole) * keys / memory**2 - 1, 0.0))

    def ttl_buckets(self, row: Row) -> list[int]:
        """Keys of a row seen in each TTL bucket."""
        buckets = list(row.ttl)
        for slot, keys in self.cells.get(row.id, {}).items():
            if slot != NO_TTL:
                buckets[BUCKETS[slot]] += keys
        return buckets

    def without_ttl(self, row: Row) -> int:
        """Keys of a row seen that never expire."""
        if row is self.tally.whole:
            return sum(cells.get(NO_TTL, 0) for cells in self.cells.values())
        return self.cells.get(row.id, {}).get(NO_TTL, 0)


def alike(strata: Sequence[Stratum]) -> list[Stratum]:
    """The same, and those of which nothing was seen know of the others: their bytes are not boundless then."""
    largest = max(strata, key=lambda one: one.examined, default=None)
    return [one if one.examined or largest is None else replace(one, like=largest.usual) for one in strata]


Rows = Sequence[tuple[Stratum, Row]]
"""One namespace, or the whole, on each server that has it."""


def whole(strata: Sequence[Stratum]) -> Rows:
    return [(one, one.tally.whole) for one in strata]


def rows_of(strata: Sequence[Stratum], name: bytes) -> Rows:
    return [(one, one.tally.rows[name]) for one in strata if name in one.tally.rows]


def keys_of(rows: Rows) -> Estimate:
    return add(one.count(row.keys, one.keys_effect(row)) for one, row in rows)


def memory_of(rows: Rows) -> Estimate:
    return add(one.total(row) for one, row in rows)


def without_memory_of(rows: Rows) -> Estimate:
    return add(one.part(one.without_ttl(row), row.without_memory, row) for one, row in rows)


def add(parts: Iterable[Estimate]) -> Estimate:
    """The sum, with its interval; of nothing, nothing."""
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
