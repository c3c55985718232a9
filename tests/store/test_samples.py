"""Samples: kept once, thinned out as they grow old, read at the resolution that fits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from dashboard.store import samples, thinned
from dashboard.store.engine import Store
from dashboard.store.samples import MINUTE, QUARTER, RAW, Sample
from dashboard.store.schema import SampleRow
from tests.store.processes import save_samples, together

START = 1_700_000_100.0
"""A whole quarter of an hour."""

HOUR, DAY = 3600.0, 86400.0


def sample(at: float, node: str = "a", cache: str = "main", **values: float) -> Sample:
    return Sample(at, cache, node, values or {"hits": at - START})


def series(start: float, end: float, step: float = 2.0, node: str = "a", cache: str = "main") -> list[Sample]:
    return [sample(start + step * n, node, cache) for n in range(int((end - start) / step))]


def times(found: Iterable[Sample]) -> list[float]:
    return [one.at - START for one in found]


def counts(store: Store) -> dict[int, int]:
    with store.read() as session:
        query = select(SampleRow.resolution, func.count()).group_by(SampleRow.resolution)
        return dict(session.execute(query).all())  # type: ignore[arg-type]


def live(store: Store, start: float, end: float, compact_every: float = 60.0, step: float = 2.0) -> None:
    """What the worker does from `start` to `end`."""
    while start < end:
        until = min(start + compact_every, end)
        samples.save(store, series(start, until, step))
        samples.compact(store, until)
        start = until


def test_the_start_is_a_whole_quarter() -> None:
    assert START % 900 == 0


def test_what_was_saved_is_loaded(store: Store) -> None:
    saved = [sample(START + 0.123456, hits=12345678901234.0, ratio=0.1), sample(START + 2.7, hits=1.0)]
    samples.save(store, saved)
    assert samples.load(store, "main", START, now=START) == saved


def test_a_second_sample_of_the_same_slot_is_ignored(store: Store) -> None:
    samples.save(store, [sample(START + 0.1, hits=1.0)])
    samples.save(store, [sample(START + 1.9, hits=2.0), sample(START + 2.0, hits=3.0)])
    assert [one.values["hits"] for one in samples.load(store, "main", START, now=START)] == [1.0, 3.0]


def test_a_slot_is_as_long_as_the_sampling_period(store: Store) -> None:
    for tenth in range(0, 20, 5):
        samples.save(store, [sample(START + tenth / 10)], period=0.5)
    samples.save(store, [sample(START + 11), sample(START + 14), sample(START + 19.9)], period=10)
    assert times(samples.load(store, "main", START, now=START)) == [0.0, 0.5, 1.0, 1.5, 11.0]


def test_without_an_insert_of_its_dialect_duplicates_are_ignored_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinned, "_INSERTS", {})
    samples.save(store, [sample(START, hits=1.0), sample(START + 1, hits=2.0), sample(START + 2, hits=3.0)])
    samples.save(store, [sample(START + 3), sample(START + 4, hits=4.0)])
    assert [one.values["hits"] for one in samples.load(store, "main", START, now=START)] == [1.0, 3.0, 4.0]


def test_workers_in_several_processes_keep_one_sample_a_slot(url: str, store: Store) -> None:
    together(4, save_samples, url)
    found = samples.load(store, "main", 0, resolution=RAW)
    assert len(found) == 50
    assert [one.at // 2 for one in found] == [500 + slot for slot in range(50)]


def test_saving_nothing_is_nothing(store: Store) -> None:
    samples.save(store, [])
    assert counts(store) == {}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_it_refuses_what_is_no_number(store: Store, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        samples.save(store, [sample(START, hits=value)])


def test_it_loads_all_nodes_of_one_cache_by_time(store: Store) -> None:
    samples.save(store, [sample(START + 2, "b"), sample(START + 2, "a"), sample(START, "b")])
    samples.save(store, [sample(START, "a", "other")])
    found = samples.load(store, "main", START, now=START)
    assert [(one.at - START, one.node) for one in found] == [(0.0, "b"), (2.0, "a"), (2.0, "b")]
    assert {one.cache for one in found} == {"main"}


def test_both_ends_of_the_range_belong_to_it(store: Store) -> None:
    samples.save(store, series(START, START + 20))
    assert times(samples.load(store, "main", START + 4, START + 8, now=START)) == [4.0, 6.0, 8.0]
    assert times(samples.load(store, "main", START + 4.1, START + 8.1, now=START)) == [6.0, 8.0]


def test_a_sample_whose_slot_began_before_the_range_belongs_to_it(store: Store) -> None:
    samples.save(store, [sample(START + 19.5)], period=10)
    assert times(samples.load(store, "main", START + 19, now=START)) == [19.5]


def test_the_latest_is_one_of_each_node(store: Store) -> None:
    samples.save(store, series(START, START + 60, node="a") + series(START, START + 40, node="b"))
    samples.save(store, [sample(START + 100, "c", "other")])
    samples.compact(store, START + 60)
    assert [(one.node, one.at - START) for one in samples.latest(store, "main")] == [("a", 58.0), ("b", 38.0)]
    assert samples.latest(store, "nobody") == []


def test_compacting_keeps_the_last_of_each_finished_bucket(store: Store) -> None:
    samples.save(store, series(START, START + 1000))
    samples.compact(store, START + 1000)
    assert counts(store) == {RAW: 500, MINUTE: 16, QUARTER: 1}
    found = samples.load(store, "main", START, START + 900, resolution=MINUTE, now=START + 1000)
    assert times(found) == [60.0 * minute + 58 for minute in range(15)]
    assert found[3].values == {"hits": 238.0}
    assert times(samples.load(store, "main", START, START + 900, resolution=QUARTER)) == [898.0]


def test_compacting_again_changes_nothing(store: Store) -> None:
    samples.save(store, series(START, START + 1000))
    samples.compact(store, START + 1000)
    before = (counts(store), samples.load(store, "main", 0, resolution=MINUTE))
    for second in range(5):
        samples.compact(store, START + 1000 + second)
    assert (counts(store), samples.load(store, "main", 0, resolution=MINUTE)) == before


def test_it_does_not_matter_how_often_it_is_compacted(store: Store) -> None:
    live(store, START, START + 2 * HOUR, compact_every=65.0, step=5.0)
    often = samples.load(store, "main", START, resolution=QUARTER, now=START + 2 * HOUR)
    samples.save(store, series(START, START + 2 * HOUR, step=5.0, cache="rarely"))
    samples.compact(store, START + 2 * HOUR)
    rarely = samples.load(store, "rarely", START, resolution=QUARTER, now=START + 2 * HOUR)
    assert len(often) == 8
    assert times(often) == times(rarely)


def test_each_resolution_is_kept_as_long_as_it_says(store: Store) -> None:
    now = START + 40 * DAY
    old = [START + 9 * DAY, START + 11 * DAY, now - 25 * HOUR, now - 23 * HOUR, now - 2 * HOUR, now - 0.5 * HOUR]
    samples.save(store, [sample(at) for at in old])
    samples.compact(store, now)
    raw = samples.load(store, "main", 0, resolution=RAW)
    assert times(raw) == [one - START for one in old[5:]]
    assert counts(store) == {RAW: 1, MINUTE: 3, QUARTER: 5}


def test_rows_are_bounded(store: Store) -> None:
    live(store, START, START + 5 * HOUR, compact_every=120.0, step=10.0)
    found = counts(store)
    assert 360 <= found[RAW] <= 367
    assert found[MINUTE] == 300
    assert found[QUARTER] == 20


def test_samples_of_a_cache_that_is_gone_are_dropped(store: Store) -> None:
    samples.save(store, series(START, START + 100, cache="gone"))
    samples.compact(store, START + 100)
    samples.compact(store, START + 31 * DAY)
    assert counts(store) == {}


def test_samples_of_a_clock_that_was_wrong_are_dropped_and_stop_nothing(store: Store) -> None:
    samples.save(store, [sample(START + 50 * DAY)])
    samples.compact(store, START + 51 * DAY)
    samples.save(store, series(START, START + 120))
    samples.compact(store, START + 120)
    assert times(samples.latest(store, "main")) == [118.0]
    samples.compact(store, START + 121)
    assert counts(store) == {RAW: 60, MINUTE: 2}


def test_compacting_goes_on_after_the_clock_was_set_back_by_less_than_an_hour(store: Store) -> None:
    samples.save(store, [sample(START + 1800)])
    samples.compact(store, START + 1900)
    samples.save(store, series(START, START + 120))
    samples.compact(store, START + 120)
    assert counts(store) == {RAW: 61, MINUTE: 3}


def test_what_a_worker_missed_to_compact_is_made_up_for(store: Store) -> None:
    live(store, START, START + HOUR)
    samples.save(store, series(START + HOUR, START + 3 * HOUR))
    samples.compact(store, START + 3 * HOUR)
    found = samples.load(store, "main", START, resolution=MINUTE, now=START + 3 * HOUR)
    assert times(found) == [60.0 * minute + 58 for minute in range(180)]


@pytest.mark.parametrize(
    ("age", "step"), [(900.0, 2.0), (HOUR, 2.0), (HOUR + 30, 2.0), (2 * HOUR, 60.0), (DAY, 60.0), (2 * DAY, 900.0)]
)
def test_the_resolution_is_the_finest_that_reaches_back(store: Store, age: float, step: float) -> None:
    end = START + 3 * HOUR
    live(store, START, end, compact_every=HOUR / 2)
    found = times(samples.load(store, "main", end - age, now=end))
    assert found[-1] - found[-2] == step
    assert found[-1] == 3 * HOUR - 2


def test_a_coarse_series_goes_on_to_the_newest_sample(store: Store) -> None:
    live(store, START, START + 1800)
    samples.save(store, series(START + 1800, START + 1890))
    found = times(samples.load(store, "main", START, resolution=MINUTE, now=START + 1890))
    assert found[-3:] == [1798.0, 1858.0, 1888.0]
    found = times(samples.load(store, "main", START, resolution=QUARTER, now=START + 1890))
    assert found == [898.0, 1798.0, 1888.0]


def test_a_coarse_series_is_right_before_anything_was_compacted(store: Store) -> None:
    samples.save(store, series(START, START + 200))
    assert times(samples.load(store, "main", START - DAY, resolution=MINUTE)) == [58.0, 118.0, 178.0, 198.0]


def test_a_series_has_the_last_of_each_stretch_that_is_asked_for(store: Store) -> None:
    live(store, START, START + 9 * 900, compact_every=900.0, step=10.0)
    found = times(samples.load(store, "main", START, resolution=QUARTER, now=START + 9 * 900, every=3600.0))
    hours = [end - 10 for end in range(0, 10 * 900, 900) if end and (START + end) % 3600 == 0]
    assert hours
    assert found == [*hours, *([] if hours[-1] == 9 * 900 - 10 else [9 * 900 - 10.0])]
    raw = times(samples.load(store, "main", START + 8100 - 600, resolution=RAW, now=START + 8100, every=60.0))
    assert [b - a for a, b in pairwise(raw)] == [60.0] * 9


def test_one_node_is_read_alone(store: Store) -> None:
    samples.save(store, series(START, START + 20, node="a") + series(START, START + 20, node="b"))
    assert {one.node for one in samples.load(store, "main", START, now=START, node="b")} == {"b"}


def test_nodes_that_come_and_go_are_thinned_out_each_for_itself(store: Store) -> None:
    samples.save(store, series(START, START + 130, node="gone") + series(START + 300, START + 400, node="new"))
    samples.compact(store, START + 400)
    found = samples.load(store, "main", START, resolution=MINUTE, now=START + 400)
    expected = [("gone", 58.0), ("gone", 118.0), ("gone", 128.0), ("new", 358.0), ("new", 398.0)]
    assert [(one.node, one.at - START) for one in found] == expected


def test_of_each_bucket_the_last_sample_of_each_node_is_read_as_by_hand(store: Store) -> None:
    """However coarse, of all nodes or of one, up to now or to an earlier moment: as if all rows had been looked at."""
    now = START + 3 * HOUR
    for node, step in (("a", 20.0), ("b", 70.0), ("c:7000", 1100.0)):
        samples.save(store, [sample(at.at, node) for at in series(START, now - len(node), step)])
    samples.save(store, series(START, now, 300.0, "a", "other"))
    every = [one for node in ("a", "b", "c:7000") for one in _raw(store, node, now)]
    for width in (0.0, 100.0, 3600.0, 7000.0):
        for node in ("", "b", "nobody"):
            for until in (None, START + 4000.0):
                wanted = [one for one in every if node in ("", one.node) and one.at <= (until or now)]
                last = {(one.node, one.at // width if width else one.at): one for one in wanted}
                found = samples.load(store, "main", START, until, RAW, now, every=width, node=node)
                assert found == sorted(last.values(), key=lambda one: (one.at, one.node)), (width, node, until)


def _raw(store: Store, node: str, now: float) -> list[Sample]:
    """A node's samples as they were taken, by time."""
    with store.read() as session:
        query = select(SampleRow.at).where(SampleRow.cache == "main", SampleRow.node == node).order_by(SampleRow.at)
        return [sample(at, node) for at in session.scalars(query) if at <= now]
