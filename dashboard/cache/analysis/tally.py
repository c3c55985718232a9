"""All batches of one server, added up in bounded memory. Pure.

What is counted of each namespace is kept in two flat tables of numbers, because a million keys a second
go through here: cells (row and slot -> keys) and sizes (row and size bucket -> keys).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeVar

from dashboard.cache.analysis import size_buckets
from dashboard.cache.analysis.slots import BUCKETS, TTL_LABELS
from dashboard.cache.analysis.sums import NO_TTL, ROW_WIDTH, BigSums, RowSums, Sums
from dashboard.cache.selecting.fold import namespace_of
from dashboard.cache.selecting.learned import ENOUGH_KEYS, Learned

MOST_ROWS = 4096  # namespaces of one server that are counted one by one
MOST_CELLS = 400_000  # some 40 MB
DETAILED_ROWS = 32  # keep their slots when there are too many cells: the others then know their TTL buckets only
MOST_BIGGEST = 100
SIZE_WIDTH = 1024  # more than there are size buckets
MOST_BLOCKS = 16  # then blocks of batches become twice as long

T = TypeVar("T")


@dataclass
class Lumps:
    """How unevenly a figure y comes: sums over blocks of y, y^2 and y*n, where n is a block's keys examined."""

    total: float = 0.0
    squares: float = 0.0
    cross: float = 0.0

    def add(self, value: float, keys: int) -> None:
        self.total += value
        self.squares += value * value
        self.cross += value * keys

    def merge(self, other: Lumps) -> None:
        self.total += other.total
        self.squares += other.squares
        self.cross += other.cross


@dataclass
class Blocks:
    """How many blocks there were, and the sums of their keys examined and of those squared."""

    count: int = 0
    visited: int = 0
    squares: int = 0

    def add(self, visited: int) -> None:
        self.count += 1
        self.visited += visited
        self.squares += visited * visited


@dataclass
class Row:
    """One namespace on one server; as RowSums, and besides: missed (see report.NamespaceRow), ttl: keys by bucket
    whose slots are no longer known; of the block that is not yet full, keys and memory; and how lumpy these came in
    blocks as long as now, and in those half as long before."""

    id: int
    name: bytes
    example: bytes
    missed: int = 0
    keys: int = 0
    memory: int = 0
    without_memory: int = 0
    types: Counter[bytes] = field(default_factory=Counter)
    odd: Counter[int] = field(default_factory=Counter)
    odd_examples: dict[int, bytes] = field(default_factory=dict)
    ttl: list[int] = field(default_factory=lambda: [0] * len(TTL_LABELS))
    block_keys: int = 0
    block_memory: int = 0
    lumps: Lumps = field(default_factory=Lumps)
    memory_lumps: Lumps = field(default_factory=Lumps)
    lumps_before: Lumps = field(default_factory=Lumps)
    memory_lumps_before: Lumps = field(default_factory=Lumps)

    def add(self, sums: RowSums) -> None:
        self.keys += sums.keys
        self.memory += sums.memory
        self.without_memory += sums.without_memory
        self.block_keys += sums.keys
        self.block_memory += sums.memory
        if sums.types:
            self.types.update(sums.types)
        if sums.odd:
            self.odd.update(sums.odd)
            self.odd_examples = sums.odd_examples | self.odd_examples

    def end_block(self, visited: int) -> None:
        self.lumps.add(self.block_keys, visited)
        self.memory_lumps.add(self.block_memory, visited)
        self.block_keys = self.block_memory = 0

    def begin_longer_blocks(self) -> None:
        self.lumps_before, self.memory_lumps_before = self.lumps, self.memory_lumps
        self.lumps, self.memory_lumps = Lumps(), Lumps()

    def merge(self, other: Row) -> None:
        """Take in another row. (Two rows of one block are added as if of two: the lumps come out a little small.)"""
        self.keys += other.keys
        self.memory += other.memory
        self.without_memory += other.without_memory
        self.types.update(other.types)
        self.odd.update(other.odd)
        self.odd_examples = other.odd_examples | self.odd_examples
        self.ttl = [mine + theirs for mine, theirs in zip(self.ttl, other.ttl, strict=True)]
        self.block_keys += other.block_keys
        self.block_memory += other.block_memory
        self.lumps.merge(other.lumps)
        self.memory_lumps.merge(other.memory_lumps)
        self.lumps_before.merge(other.lumps_before)
        self.memory_lumps_before.merge(other.memory_lumps_before)


class Tally:
    """What was seen of one server. `add` batches; everything else is for reading.

    lumpy: whether keys of one kind may come one after the other, as they do where SCAN goes slot by slot: in a cluster
    with hash tags. How much, is measured on blocks of batches which get longer and longer, because a lump may be
    longer than a batch.
    """

    def __init__(self, separator: bytes, most_rows: int = MOST_ROWS, *, lumpy: bool = False) -> None:
        self._most_rows = most_rows
        self._separator = separator
        self._learned = Learned(separator)
        self._known: dict[bytes, Row] = {}  # also by names that were folded further
        self._next_id = 1
        self.rows: dict[bytes, Row] = {}
        self.other = Row(0, b"", b"")
        self.bound = 0  # a namespace among the others has at most so many keys
        self.whole = Row(-1, b"", b"")
        self.cells: Counter[int] = Counter()
        self.sizes: Counter[int] = Counter()
        self.slot_keys = [0] * (NO_TTL + 1)  # of cells that were given up
        self.slot_memory = [0] * (NO_TTL + 1)
        self.lumpy = lumpy
        self.blocks = Blocks()
        self.blocks_before = Blocks()
        self._block_length = 1
        self._block_batches = 0
        self._block_visited = 0
        self._in_block: dict[int, Row] = {}
        self.visited = 0
        self.gone = 0
        self.refused = 0
        self.uncounted = 0
        self.asked = 0
        self.types: Counter[bytes] = Counter()
        self.encodings: dict[bytes, list[int]] = {}
        self.active: dict[int, list[int]] = {}
        self.biggest: dict[bytes, BigSums] = {}
        self.threshold = 0
        self.standing: list[list[int]] = []

    def add(self, sums: Sums) -> None:
        """One batch."""
        self.visited += sums.visited
        self.gone += sums.gone
        self.refused += sums.refused
        self.uncounted += sums.uncounted
        self.asked += sums.asked
        rows = [self._row(one) for one in sums.rows]
        for row, one in zip(rows, sums.rows, strict=True):
            row.add(one)
        self._add_whole(sums)
        if self.lumpy:
            self._in_block |= {row.id: row for row in (self.whole, *rows)}
            self._add_to_block(sums.visited)
        self._count(rows, sums)
        self.types.update(sums.types)
        _add_groups(self.encodings, sums.encodings)
        _add_groups(self.active, sums.active)
        self._keep_biggest(sums)
        self._stand(sums)
        if self.whole.keys >= ENOUGH_KEYS:  # until then there cannot be more rows than that, some 20 MB
            if len(self.rows) > min(self._learned.worth_at, self._most_rows):
                self._learn()
            if len(self.rows) > self._most_rows:
                self._prune()
        if len(self.cells) > MOST_CELLS:
            self._give_up_cells()

    def _add_whole(self, sums: Sums) -> None:
        keys, memory = sum(one.keys for one in sums.rows), sum(one.memory for one in sums.rows)
        self.whole.keys += keys
        self.whole.memory += memory
        self.whole.without_memory += sum(one.without_memory for one in sums.rows)
        self.whole.block_keys += keys
        self.whole.block_memory += memory

    def _add_to_block(self, visited: int) -> None:
        self._block_batches += 1
        self._block_visited += visited
        if self._block_batches < self._block_length:
            return
        for row in self._in_block.values():
            row.end_block(self._block_visited)
        self.blocks.add(self._block_visited)
        self._block_batches = self._block_visited = 0
        self._in_block = {}
        if self.blocks.count == MOST_BLOCKS:
            self._block_length *= 2
            self.blocks_before, self.blocks = self.blocks, Blocks()
            for row in (self.whole, self.other, *self.rows.values()):
                row.begin_longer_blocks()

    def _count(self, rows: list[Row], sums: Sums) -> None:
        """Here a million keys a second go through, so it is comprehensions over tables."""
        cell = [row.id * ROW_WIDTH for row in rows]
        mask = ROW_WIDTH - 1
        self.cells.update([cell[code >> 13] + (code & mask) for code in sums.codes])
        size = [row.id * SIZE_WIDTH for row in rows]
        table = size_buckets.TABLE
        try:
            self.sizes.update([size[code >> 13] + table[n] for code, n in zip(sums.codes, sums.sizes, strict=True)])
        except IndexError:  # a large one among them
            bucket_of = size_buckets.bucket_of
            self.sizes.update([size[code >> 13] + bucket_of(n) for code, n in zip(sums.codes, sums.sizes, strict=True)])
        memory = self.slot_memory
        for code, n in zip(sums.codes, sums.sizes, strict=True):
            memory[code & mask] += n

    def _row(self, sums: RowSums) -> Row:
        row = self._known.get(sums.name)
        if row is None:
            name = self._learned.fold(sums.name)
            row = self.rows.get(name)
            if row is None:
                row = Row(self._next_id, name, sums.example, missed=self.bound)
                self._next_id += 1
                self.rows[name] = row
            if len(self._known) > 8 * self._most_rows:
                self._known.clear()
            self._known[sums.name] = row
        return row

    def name_of(self, key: bytes) -> bytes:
        """The namespace that a key was counted under."""
        return self._learned.fold(namespace_of(key, self._separator))

    def _keep_biggest(self, sums: Sums) -> None:
        for one in sums.largest:
            self.biggest[one.key] = one
        if len(self.biggest) > MOST_BIGGEST:
            kept = sorted(self.biggest.values(), key=lambda one: (-one.memory, one.key))[:MOST_BIGGEST]
            self.biggest = {one.key: one for one in kept}
            self.threshold = kept[-1].memory

    def _stand(self, sums: Sums) -> None:
        if not self.standing:
            self.standing = [[0, 0, 0, 0, -1] for _ in sums.standing]
        for mine, theirs in zip(self.standing, sums.standing, strict=True):
            for place in range(4):
                mine[place] += theirs[place]
            mine[4] = max(mine[4], theirs[4])

    # --- bounds --------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Nothing more comes: what could not be told from few keys before can be told now."""
        self._learn(ended=True)

    def _learn(self, *, ended: bool = False) -> None:
        """Fold parts of which there are so many that they must vary (user names, slugs), and join their rows."""
        keys = {name: row.keys for name, row in self.rows.items()}
        renamed = self._learned.learn(keys, self.whole.keys, ended=ended)
        if renamed:
            into = {name: self._renamed(name, new) for name, new in renamed.items()}
            self._join(into)
            for row in into.values():
                row.missed = self.other.keys  # any number of its parts may have been given up

    def _renamed(self, old: bytes, new: bytes) -> Row:
        if new not in self.rows:
            self.rows[new] = Row(self._next_id, new, self.rows[old].example)
            self._next_id += 1
        return self.rows[new]

    def _prune(self) -> None:
        """Keep the larger half of the namespaces one by one; the others are counted together from now on.

        One that comes again begins anew, and may have missed as many keys as the largest of the others had (the
        bound of the Space-Saving algorithm: A. Metwally et al., ICDT 2005).
        """
        by_keys = sorted(self.rows.values(), key=lambda row: -row.keys)
        by_memory = sorted(self.rows.values(), key=lambda row: -row.memory)
        half = self._most_rows // 2
        kept = {row.name for row in by_keys[: half * 3 // 4]} | {row.name for row in by_memory[: half // 4]}
        given_up = [row for row in self.rows.values() if row.name not in kept]
        self.bound = max([self.bound, *(row.keys + row.missed for row in given_up)])
        self._join({row.name: self.other for row in given_up})

    def _join(self, into: dict[bytes, Row]) -> None:
        """Let rows go into others, with their cells and sizes."""
        ids: dict[int, int] = {}
        for name, target in into.items():
            row = self.rows.pop(name)
            target.merge(row)
            if self._in_block.pop(row.id, None):
                self._in_block[target.id] = target
            ids[row.id] = target.id
        self._known.clear()
        self.cells = _moved(self.cells, ids, ROW_WIDTH)
        self.sizes = _moved(self.sizes, ids, SIZE_WIDTH)

    def _give_up_cells(self) -> None:
        detailed = {row.id for row in sorted(self.rows.values(), key=lambda row: -row.keys)[:DETAILED_ROWS]}
        by_id = {row.id: row for row in self.rows.values()} | {0: self.other}
        kept: Counter[int] = Counter()
        for cell, keys in self.cells.items():
            number, slot = divmod(cell, ROW_WIDTH)
            if number in detailed or slot == NO_TTL:
                kept[cell] = keys
            else:
                by_id[number].ttl[BUCKETS[slot]] += keys
                self.slot_keys[slot] += keys
        self.cells = kept


def _add_groups(mine: dict[T, list[int]], theirs: dict[T, tuple[int, int, int]]) -> None:
    for name, values in theirs.items():
        group = mine.setdefault(name, [0, 0, 0])
        for place, value in enumerate(values):
            group[place] += value


def _moved(table: Counter[int], ids: dict[int, int], width: int) -> Counter[int]:
    moved: Counter[int] = Counter()
    for code, keys in table.items():
        number, rest = divmod(code, width)
        moved[ids.get(number, number) * width + rest] += keys
    return moved
