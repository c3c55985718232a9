"""A retiming as a job: cancelled in the middle it says what it has done, in its snapshot and in the audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dashboard.cache.retiming.change import IntoRange, Jitter
from dashboard.cache.retiming.tally import Done, Plan
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs import results
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.pool import Pool
from dashboard.jobs.retime_job import PLAN, RETIME, arguments, task_of
from dashboard.settings import Settings
from dashboard.store import audit, jobs
from dashboard.store.audit import Filters
from dashboard.store.engine import Store, open_store
from dashboard.store.jobs import Job
from tests.programs import wait_until
from tests.servers import Server

MANY = 30_000
GENTLE = {"walk_hold_ms": 0.1, "walk_share": 0.05}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
    yield opened
    opened.close()


@pytest.fixture
def _pool(store: Store, tmp_path: Path, valkey: Server) -> Iterator[None]:
    with valkey.client() as client:
        pipe = client.pipeline(transaction=False)
        for number in range(MANY):
            pipe.set(f"k:{number}", "v", ex=100)
        pipe.execute()
    with closing(Cache(parse_target(f"main={valkey.url}"))) as cache:
        pool = Pool(store, {"main": cache}, Settings(data=tmp_path, **GENTLE))  # type: ignore[arg-type]
        pool.start()
        yield
        pool.finish(5)


def _started(store: Store, kind: str, follows: int | None = None) -> Job:
    given = arguments(Selection(b"k:*"), IntoRange(5000, 6000))
    return jobs.create(store, "main", kind, given, "otto", "10.1.1.1", "a cliff", follows=follows)


def _now(store: Store, job: Job) -> Job:
    found = jobs.get(store, job.id)
    assert found
    return found


def _moved(valkey: Server) -> int:
    with valkey.client() as client:
        pipe = client.pipeline(transaction=False)
        for number in range(MANY):
            pipe.ttl(f"k:{number}")
        return sum(ttl > 4000 for ttl in pipe.execute())


@pytest.mark.usefixtures("_pool")
def test_one_that_is_cancelled_says_exactly_what_it_has_done(store: Store, valkey: Server) -> None:
    job = _started(store, RETIME, follows=4711)
    wait_until(lambda: _now(store, job).progress is not None, "the first snapshot is kept")
    jobs.request_cancel(store, job.id)
    wait_until(lambda: not _now(store, job).open, "the job ends")
    assert _now(store, job).state == "cancelled"
    done = results.snapshot(store, _now(store, job))
    assert isinstance(done, Done)
    assert 0 < done.changed < MANY
    assert done.changed == _moved(valkey)
    outcome = audit.search(store, Filters(action="keys.retime"))[0]
    assert isinstance(outcome.after, dict)
    assert (outcome.status, outcome.after["changed"]) == ("failed", done.changed)
    assert outcome.error == "Cancelled before its end."


@pytest.mark.usefixtures("_pool")
def test_a_dry_run_is_kept_as_a_plan_and_is_no_change(store: Store, valkey: Server) -> None:
    job = _started(store, PLAN)
    wait_until(lambda: not _now(store, job).open, "the job ends")
    assert _now(store, job).state == "finished"
    made = results.snapshot(store, _now(store, job))
    assert isinstance(made, Plan)
    assert made.changed == (MANY, MANY, MANY)
    assert _moved(valkey) == 0
    assert audit.search(store, Filters(action="keys.retime")) == []


@pytest.mark.parametrize("change", [Jitter(12.5, "%", "earlier"), IntoRange(900, 1800.5)])
def test_arguments_say_the_same_after_the_database(change: Jitter | IntoRange) -> None:
    selection = Selection(b"\xff:*", "hash", "@1764000000-1764000001.5", ">100")
    assert task_of(json.loads(json.dumps(arguments(selection, change)))) == (selection, change)


def test_only_the_act_changes_a_cache_and_neither_repeats_it_by_a_click() -> None:
    assert KINDS[RETIME].changes
    assert not KINDS[RETIME].again
    assert not KINDS[PLAN].changes


@pytest.mark.usefixtures("_pool")
def test_what_another_version_wrote_fails_with_a_sentence(store: Store) -> None:
    job = jobs.create(store, "main", RETIME, {"selection": {}, "change": {"shuffle": "1"}}, "otto", "10.1.1.1")
    wait_until(lambda: not _now(store, job).open, "the job ends")
    ended = _now(store, job)
    assert (ended.state, ended.advice) == ("failed", "Start a new dry run.")
