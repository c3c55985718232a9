"""All batches of a server add up in bounded memory, and nothing of what was counted is lost by that."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from dashboard.cache.analysis.slots import BUCKETS, COUNT, TTL_LABELS
from dashboard.cache.analysis.strata import Stratum
from dashboard.cache.analysis.sums import NO_TTL, ROW_WIDTH, BigSums, RowSums, Sums
from dashboard.cache.analysis.tally import MOST_BIGGEST, MOST_CELLS, MOST_ROWS, Row, Tally
from dashboard.cache.selecting.learned import ENOUGH_KEYS

BATCH = 500
Key = tuple[bytes, int, int]
"""Namespace, bytes, slot."""


def _sums(keys: Iterable[Key], **more: object) -> Sums:
    """One batch of these keys, as the script would say it."""
    keys = list(keys)
    rows: dict[bytes, RowSums] = {}
    numbers: dict[bytes, int] = {}
    codes = []
    for name, memory, slot in keys:
        numbers.setdefault(name, len(numbers))
        row = rows.setdefault(name, RowSums(name, name))
        row.keys += 1
        row.memory += memory
        row.without_memory += memory if slot == NO_TTL else 0
        codes.append(numbers[name] * ROW_WIDTH + slot)
    return Sums(len(keys), codes, [memory for _, memory, _ in keys], list(rows.values()), **more)  # type: ignore[arg-type]


def _batches(keys: Iterable[Key], size: int = BATCH) -> Iterator[list[Key]]:
    found = iter(keys)
    while batch := list(islice(found, size)):
        yield batch


def _word(number: int) -> bytes:
    """A name without any digit."""
    return bytes(97 + int(digit) for digit in str(number))


def _rows(tally: Tally) -> list[Row]:
    return [*tally.rows.values(), tally.other]


def _conserved(tally: Tally, keys: int, memory: int, by_slot: Counter[int]) -> None:
    """Every key and byte is in one row, in the cells or what was given up of them, and in the sizes."""
    stratum = Stratum(tally, keys, keys, ended=True)
    assert tally.visited == tally.whole.keys == keys == sum(row.keys for row in _rows(tally))
    assert tally.whole.memory == memory == sum(row.memory for row in _rows(tally))
    assert tally.whole.without_memory == sum(row.without_memory for row in _rows(tally))
    seen = Counter({slot: n for slot, n in enumerate(tally.slot_keys) if n})
    for cells in stratum.cells.values():
        seen.update(cells)
    assert seen == by_slot
    assert sum(tally.slot_memory) == memory
    assert tally.sizes.total() == keys
    for row in _rows(tally):
        ttls = stratum.ttl_buckets(row)
        assert sum(ttls) + stratum.without_ttl(row) == row.keys
    assert len({row.id for row in _rows(tally)}) == len(tally.rows) + 1


def _skewed(draw: random.Random, names: int) -> Iterator[bytes]:
    """Names in a long tail that no folding gets hold of: each below a prefix of its own, some much larger."""
    while True:
        yield b"%s.ns" % _word(min(int(draw.paretovariate(0.2)), names))


def test_a_long_tail_of_names_keeps_the_rows_the_cells_and_the_bound() -> None:
    draw = random.Random(1)
    names = _skewed(draw, 10**6)
    tally, truth, by_slot, memory = Tally(b":"), Counter[bytes](), Counter[int](), 0
    for _ in range(300):
        batch = [(next(names), draw.randrange(50, 5000), draw.choice((NO_TTL, 100, 5000))) for _ in range(BATCH)]
        truth.update(name for name, _, _ in batch)
        by_slot.update(slot for _, _, slot in batch)
        memory += sum(size for _, size, _ in batch)
        tally.add(_sums(batch))
        assert len(tally.rows) <= (MOST_ROWS if tally.visited >= ENOUGH_KEYS else tally.visited)
        assert len(tally.cells) <= MOST_CELLS + BATCH
    assert len(truth) > 4 * MOST_ROWS
    _conserved(tally, 300 * BATCH, memory, by_slot)
    _bounded(tally, truth)
    # The bound says something: the namespaces that matter are counted exactly, or nearly so.
    assert tally.bound < 100
    for name, _ in truth.most_common(50):
        assert name in tally.rows or b"*" in tally.rows


def _bounded(tally: Tally, truth: Counter[bytes]) -> None:
    """For each row keys <= truth <= keys + missed; what is no row has at most `bound` keys."""
    of_row: Counter[bytes] = Counter()
    for name, keys in truth.items():
        folded = tally._learned.fold(name)
        of_row[folded] += keys
    for name, keys in of_row.items():
        row = tally.rows.get(name)
        if row is None:
            assert keys <= tally.bound, (name, keys)
        else:
            assert row.keys <= keys <= row.keys + row.missed, (name, row.keys, keys, row.missed)
    assert tally.rows.keys() <= of_row.keys()


def test_names_that_all_differ_are_counted_as_others() -> None:
    """A hundred thousand namespaces of one key each, in a hundred folders that are real."""
    draw = random.Random(2)
    tally, truth = Tally(b":"), Counter[bytes]()
    keys = [(b"%s:%s" % (_word(n % 100), _word(n)), 64, NO_TTL) for n in range(100_000)]
    draw.shuffle(keys)
    for batch in _batches(keys):
        truth.update(name for name, _, _ in batch)
        tally.add(_sums(batch))
        assert len(tally.rows) <= (MOST_ROWS if tally.visited >= ENOUGH_KEYS else tally.visited)
    _conserved(tally, 100_000, 64 * 100_000, Counter({NO_TTL: 100_000}))
    _bounded(tally, truth)


def test_user_names_are_one_namespace_in_the_end_however_many_there_are() -> None:
    draw = random.Random(3)
    keys = [
        *((b"user:%s:cart" % _word(n), 100, 10) for n in range(60_000)),
        *((b"team:%s:jobs" % _word(n), 100, NO_TTL) for n in range(300) for _ in range(100)),
    ]
    draw.shuffle(keys)
    tally = Tally(b":")
    for batch in _batches(keys):
        tally.add(_sums(batch))
        assert len(tally.rows) <= (MOST_ROWS if tally.visited >= ENOUGH_KEYS else tally.visited)
    _conserved(tally, 90_000, 9_000_000, Counter({10: 60_000, NO_TTL: 30_000}))
    _bounded(tally, Counter(name for name, _, _ in keys))
    teams = {name for name in tally.rows if name.startswith(b"team:")}
    assert teams == {b"team:%s:jobs" % _word(n) for n in range(300)}
    users = tally.rows[b"user:*:cart"]
    assert users.keys == 60_000
    assert (users.missed, tally.bound, tally.other.keys) == (0, 0, 0)
    assert not [name for name in tally.rows if name.startswith(b"user:") and name != b"user:*:cart"]


def test_a_namespace_that_is_learned_late_says_how_many_of_its_keys_may_be_among_the_others() -> None:
    draw = random.Random(7)
    # 5,184 namespaces of which none varies by what is learned: no prefix has a hundred children.
    early = [(b"%s:%s" % (_word(n), _word(m)), 64, NO_TTL) for n in range(72) for m in range(72) for _ in range(8)]
    early += [(b"user:%s:cart" % _word(n), 64, NO_TTL) for n in range(80)]
    draw.shuffle(early)
    late = [(b"user:%s:cart" % _word(n), 64, NO_TTL) for n in range(80, 20_000)]
    tally = Tally(b":")
    for batch in _batches([*early, *late]):
        tally.add(_sums(batch))
    total = len(early) + len(late)
    _conserved(tally, total, 64 * total, Counter({NO_TTL: total}))
    _bounded(tally, Counter(name for name, _, _ in (*early, *late)))
    users = tally.rows[b"user:*:cart"]
    assert users.keys < 20_000 <= users.keys + users.missed


def test_a_few_user_names_with_several_keys_are_joined_without_loss() -> None:
    draw = random.Random(4)
    keys = [(b"user:%s:cart" % _word(n), 100 + n % 7, n % COUNT) for n in range(1500) for _ in range(15)]
    draw.shuffle(keys)
    tally = Tally(b":")
    for batch in _batches(keys):
        tally.add(_sums(batch))
    _conserved(tally, len(keys), sum(size for _, size, _ in keys), Counter(slot for _, _, slot in keys))
    assert set(tally.rows) == {b"user:*:cart"}
    assert tally.rows[b"user:*:cart"].keys == len(keys)
    assert tally.bound == tally.other.keys == 0


def test_cells_that_are_given_up_leave_the_buckets_and_the_slots() -> None:
    draw = random.Random(5)
    tally = Tally(b":")
    by_slot, memory, buckets = Counter[int](), 0, Counter[tuple[bytes, int]]()
    names = [b"%s:x" % _word(n) for n in range(900)]
    for _ in range(90):
        batch = [(draw.choice(names), draw.randrange(10, 10**6), draw.randrange(COUNT + 1)) for _ in range(5000)]
        by_slot.update(slot for _, _, slot in batch)
        buckets.update((name, BUCKETS[slot]) for name, _, slot in batch if slot != NO_TTL)
        memory += sum(size for _, size, _ in batch)
        tally.add(_sums(batch))
        assert len(tally.cells) <= MOST_CELLS + 5000
    assert sum(tally.slot_keys) > 0, "nothing was given up, so nothing is shown"
    _conserved(tally, 90 * 5000, memory, by_slot)
    stratum = Stratum(tally, tally.visited, tally.visited, ended=True)
    for name in names:
        assert stratum.ttl_buckets(tally.rows[name]) == [buckets[name, place] for place in range(len(TTL_LABELS))]


def test_the_largest_keys_are_kept_and_each_of_them_once() -> None:
    draw = random.Random(6)
    sizes = {b"k:%d" % n: draw.randrange(1, 10**9) for n in range(5000)}
    tally = Tally(b":")
    for _ in range(2):  # SCAN may show a key twice
        for start in range(0, 5000, 100):
            names = [b"k:%d" % n for n in range(start, start + 100)]
            large = [
                BigSums(name, b"string", sizes[name], -1, -1, len(name))
                for name in names
                if sizes[name] > tally.threshold
            ]
            tally.add(_sums([(name, sizes[name], NO_TTL) for name in names], largest=large))
    wanted = sorted(sizes.items(), key=lambda one: (-one[1], one[0]))[:MOST_BIGGEST]
    assert {one.key: one.memory for one in tally.biggest.values()} == dict(wanted)


def test_a_key_above_every_table_is_counted_in_a_bucket_of_its_own() -> None:
    tally = Tally(b":")
    tally.add(_sums([(b"a", 10**12, NO_TTL), (b"a", 1 << 16, NO_TTL), (b"a", 0, 3)]))
    _conserved(tally, 3, 10**12 + (1 << 16), Counter({NO_TTL: 2, 3: 1}))
    assert len(tally.sizes) == 3
