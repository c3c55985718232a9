"""What happened on all primaries in stretches of time: what trials are judged by and compared by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.jobs import latency
from dashboard.jobs.trial_windows import window, windows
from dashboard.store import command_samples, samples
from dashboard.store.command_samples import CommandSample
from dashboard.store.engine import Store, open_store
from dashboard.store.samples import Sample

NOW = 1_900_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
    yield found
    found.close()


def _sampled(store: Store, node: str, seconds: range, hits: float, misses: float, evicted: float = 0.0) -> None:
    """A sample every 5 s of counters that grow by so much in a second."""
    found = []
    for second in seconds:
        past = second - seconds.start
        values = {"keyspace_hits": hits * past, "keyspace_misses": misses * past, "evicted_keys": evicted * past}
        common = {"total_commands_processed": 10.0 * past, "used_memory": 1000.0, "sampled_at": NOW + second}
        found.append(Sample(NOW + second, "shop", node, {**values, **common}))
    samples.save(store, found, 1.0)


def _slow(store: Store, node: str, seconds: range, usec: float, calls: int = 1000) -> None:
    """Samples of commands of which so many more took so long each time."""
    found = []
    for step, second in enumerate(seconds):
        total = float(calls * step)
        costs = {"get": [[total, total * usec, 0, 0], [usec, total]]}
        found.append(CommandSample(NOW + second, "shop", node, costs))
    command_samples.save(store, found, latency.SECONDS)


def test_a_window_is_the_sum_of_all_primaries(store: Store) -> None:
    _sampled(store, "a:1", range(-60, 1, 5), hits=90, misses=10, evicted=5)
    _sampled(store, "b:1", range(-60, 1, 5), hits=10, misses=90)
    found = window(store, "shop", 60, NOW)
    assert found
    assert found.seconds == pytest.approx(60)
    assert (found.hits, found.misses) == (pytest.approx(6000), pytest.approx(6000))
    assert (found.evictions, found.hit_ratio) == (pytest.approx(300), pytest.approx(0.5))
    assert (found.operations, found.memory) == (pytest.approx(1200), 2000)


def test_where_samples_cover_less_than_half_nothing_is_said(store: Store) -> None:
    assert window(store, "shop", 60, NOW) is None
    _sampled(store, "a:1", range(-25, 1, 5), hits=90, misses=10)
    assert window(store, "shop", 60, NOW) is None
    assert window(store, "shop", 30, NOW)
    assert window(store, "other", 30, NOW) is None


def test_the_windows_between_two_moments_follow_one_another(store: Store) -> None:
    _sampled(store, "a:1", range(-300, 1, 5), hits=90, misses=10)
    found = windows(store, "shop", NOW - 300, NOW, 2.0)
    assert len(found) >= 300 / latency.SECONDS - 2
    assert all(one.hit_ratio == pytest.approx(0.9) for one in found)
    assert all(one.seconds == pytest.approx(latency.SECONDS) for one in found[:-1])  # the last one may be cut short


def test_a_window_in_which_one_primary_was_not_seen_is_left_out(store: Store) -> None:
    _sampled(store, "a:1", range(-300, 1, 5), hits=90, misses=10)
    whole = len(windows(store, "shop", NOW - 300, NOW, 2.0))
    _sampled(store, "b:1", range(-150, 1, 5), hits=90, misses=10)
    assert 0 < len(windows(store, "shop", NOW - 300, NOW, 2.0)) <= whole / 2 + 1


def test_each_window_has_its_own_p99_where_the_server_tells_latencies(store: Store) -> None:
    _sampled(store, "a:1", range(-300, 1, 5), hits=90, misses=10)
    assert {one.p99_ms for one in windows(store, "shop", NOW - 300, NOW, 2.0)} == {None}
    _slow(store, "a:1", range(-300, 1, int(latency.SECONDS)), 1023.0)
    found = [one.p99_ms for one in windows(store, "shop", NOW - 300, NOW, 2.0)]
    known = [one for one in found if one is not None]
    assert len(known) >= len(found) - 1
    assert all(0.4 <= one <= 1.1 for one in known)
    assert latency.p99_ms(store, "shop", 60, NOW) == pytest.approx(known[0], rel=0.01)


def test_of_too_few_calls_no_p99_is_made(store: Store) -> None:
    _slow(store, "a:1", range(-300, 1, int(latency.SECONDS)), 1023.0, calls=5)
    assert latency.p99s_ms(store, "shop", NOW - 300, NOW, 15.0) == {}
