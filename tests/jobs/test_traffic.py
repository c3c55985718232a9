"""What a cache is read at: by applications, and not by Cachedeck's own walks, which servers count like any reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

from dashboard.jobs.kinds import KINDS
from dashboard.jobs.traffic import READS_NO_KEYS, traffic_of
from dashboard.store import jobs, samples
from dashboard.store.engine import Store, open_store
from dashboard.store.samples import Sample
from dashboard.store.schema import JobRow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{tmp_path / 'c.db'}")) as opened:
        yield opened


def sampled(store: Store, now: float, *hits: float) -> None:
    """Samples 10 s apart, the last one just now, whose counters show this."""
    first = now - 10.0 * (len(hits) - 1)
    for index, count in enumerate(hits):
        values = {"keyspace_hits": count, "keyspace_misses": count / 10, "keys": 1000.0, "used_memory": 1e6}
        samples.save(store, [Sample(first + 10.0 * index, "main", "a:1", values)])


def worked(store: Store, kind: str, began: float, ended: float | None) -> None:
    job = jobs.create(store, "main", kind, {}, "otto", "")
    state = "running" if ended is None else "finished"
    values = {"state": state, "started_at": began, "heartbeat_at": time.time(), "ended_at": ended}
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(**values))


@pytest.mark.parametrize("kind", ["invalidate.plan", "analysis", "invalidate.undo"])
def test_what_our_own_jobs_read_is_no_traffic(store: Store, kind: str) -> None:
    now = time.time()
    sampled(store, now, 0, 50, 90_050, 90_100, 90_150)
    worked(store, kind, now - 28, now - 22)
    found = traffic_of(store, "main")
    assert (found.hits, found.misses) == (pytest.approx(5.0), pytest.approx(0.5))
    assert (found.keys, found.memory) == (1000, 1_000_000)


def test_where_one_of_them_was_always_at_work_it_is_not_known(store: Store) -> None:
    now = time.time()
    sampled(store, now, 0, 9000, 18_000)
    worked(store, "invalidate", now - 100, None)
    found = traffic_of(store, "main")
    assert (found.hits, found.misses, found.keys) == (None, None, 1000)


def test_what_only_listens_hides_nothing(store: Store) -> None:
    now = time.time()
    sampled(store, now, 0, 50, 100)
    for kind in sorted(READS_NO_KEYS):
        worked(store, kind, now - 100, None)
    assert traffic_of(store, "main").hits == pytest.approx(5.0)


def test_the_kinds_that_only_listen_exist() -> None:
    assert set(KINDS) >= READS_NO_KEYS
