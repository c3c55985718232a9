"""A job that stands and goes on, in a worker's thread and in the process that asked for it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs import results, runner
from dashboard.jobs.kind import Work
from dashboard.jobs.pool import Pool
from dashboard.jobs.run_here import new_owner, run_here
from dashboard.settings import Settings
from dashboard.store import audit, jobs
from dashboard.store.engine import Store, open_store
from dashboard.store.jobs import Job
from tests.jobs.long_work import KINDS, Counted
from tests.programs import environment, running, wait_until
from tests.servers import HOST

OWNER = "this worker"
MANY = 100_000
PROGRAM = """
import sys
from contextlib import closing
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs.kind import Work
from dashboard.jobs.run_here import new_owner, run_here
from dashboard.settings import load_settings
from dashboard.store import jobs
from dashboard.store.engine import open_store
from tests.jobs.long_work import KINDS
settings = load_settings()
store, owner = open_store(settings.database), new_owner()
with closing(Cache(parse_target("main=redis://127.0.0.1:1"))) as cache:
    given = {"steps": 100000, "pause": 0.01, "at": sys.argv[2]}
    job = jobs.create(store, "main", sys.argv[1], given, "command line", "local", owner=owner)
    told = lambda seen: seen.progress.examined == 1 and print("begun", flush=True)
    job = run_here(job, Work(cache, settings, store), owner, kinds=KINDS, on_snapshot=told, by_signals=True)
    print(job.state, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
    yield opened
    opened.close()


@pytest.fixture
def work(store: Store, tmp_path: Path) -> Iterator[Work]:
    """No server is asked: what the tests run asks none."""
    with closing(Cache(parse_target(f"main=redis://{HOST}:1"))) as cache:
        yield Work(cache, Settings(data=tmp_path), store)


def asked(store: Store, tmp_path: Path, kind: str = "lasting", owner: str = "", **arguments: Any) -> Job:
    given = {"steps": MANY, "pause": 0.002, "at": str(tmp_path / "at"), **arguments}
    return jobs.create(store, "main", kind, given, "otto", "10.0.0.1", owner=owner)


def seen(store: Store, job: Job) -> Job:
    found = jobs.get(store, job.id)
    assert found
    return found


def reached(store: Store, job: Job) -> int:
    found = results.progress(seen(store, job))
    return found.examined if found else 0


@contextmanager
def pool(work: Work) -> Iterator[None]:
    made = Pool(work.store, {"main": work.cache}, work.settings, KINDS)
    made.start()
    try:
        yield
    finally:
        made.finish(10)


class TestInTheWorker:
    def test_it_stands_with_what_it_did_and_goes_on_from_there_as_the_same_job(
        self, work: Work, tmp_path: Path
    ) -> None:
        job = asked(work.store, tmp_path)
        with pool(work):
            wait_until(lambda: reached(work.store, job) > 0, "it has begun")
            jobs.request_pause(work.store, job.id)
            wait_until(lambda: not seen(work.store, job).open, "it stands")
            paused = seen(work.store, job)
            assert (paused.state, paused.error) == ("paused", "")
            done = reached(work.store, job)
            assert done == int((tmp_path / "at").read_text(encoding="ascii"))
            jobs.resume(work.store, job.id)
            wait_until(lambda: reached(work.store, job) > done, "it goes on")
            assert seen(work.store, job).state == "running"
            jobs.request_cancel(work.store, job.id)
            wait_until(lambda: seen(work.store, job).state == "cancelled", "its end")
        assert len(jobs.newest(work.store, "main")) == 1

    def test_each_run_is_audited_and_a_pause_says_how_much_was_done(self, work: Work, tmp_path: Path) -> None:
        job = asked(work.store, tmp_path, steps=50, pause=0.01)
        with pool(work):
            wait_until(lambda: reached(work.store, job) > 0, "it has begun")
            jobs.request_pause(work.store, job.id)
            wait_until(lambda: not seen(work.store, job).open, "it stands")
            done = reached(work.store, job)
            jobs.resume(work.store, job.id)
            wait_until(lambda: seen(work.store, job).state == "finished", "its end")
        last, first = audit.search(work.store, audit.Filters(action="keys.count"))
        assert (first.status, first.error, first.after) == ("failed", runner.PAUSED, {"job": job.id, "counted": done})
        assert (last.status, last.error, last.after) == ("done", "", {"job": job.id, "counted": 50})

    def test_a_kind_that_cannot_go_on_is_not_paused(self, work: Work, tmp_path: Path) -> None:
        job = asked(work.store, tmp_path, "change", steps=40, pause=0.02)
        with pool(work):
            wait_until(lambda: reached(work.store, job) > 0, "it has begun")
            jobs.request_pause(work.store, job.id)
            wait_until(lambda: not seen(work.store, job).open, "its end")
        assert (seen(work.store, job).state, reached(work.store, job)) == ("finished", 40)

    def test_one_that_failed_goes_on(self, work: Work, tmp_path: Path) -> None:
        job = asked(work.store, tmp_path, steps=5, pause=0, error="unreachable")
        with pool(work):
            wait_until(lambda: seen(work.store, job).state == "failed", "its failure")
            assert reached(work.store, job) == 4
            jobs.resume(work.store, job.id)
            wait_until(lambda: not seen(work.store, job).open, "its end")
        assert seen(work.store, job).error == "main cannot be reached."
        assert reached(work.store, job) == 4


class TestHere:
    def test_it_runs_to_its_end_in_this_thread_and_tells_each_snapshot(self, work: Work, tmp_path: Path) -> None:
        owner, told = new_owner(), list[Counted]()
        job = asked(work.store, tmp_path, steps=5, pause=0, owner=owner)
        ended = run_here(job, work, owner, kinds=KINDS, on_snapshot=told.append)
        assert (ended.state, ended.kind) == ("finished", "lasting")
        assert [one.progress.examined for one in told] == [1, 2, 3, 4, 5]
        found = results.snapshot(work.store, ended, KINDS)
        assert isinstance(found, Counted)
        assert found.progress.examined == 5

    def test_no_worker_takes_it_meanwhile(self, work: Work, tmp_path: Path) -> None:
        owner = new_owner()
        job = asked(work.store, tmp_path, steps=20, pause=0.02, owner=owner)
        with pool(work):
            ended = run_here(job, work, owner, kinds=KINDS)
        assert (ended.state, ended.started_at) == ("finished", job.started_at)
        assert len(audit.search(work.store, audit.Filters(action="keys.count"))) == 1

    def test_what_its_kind_raises_is_how_it_ended(self, work: Work, tmp_path: Path) -> None:
        owner = new_owner()
        job = asked(work.store, tmp_path, steps=3, pause=0, error="refused", owner=owner)
        ended = run_here(job, work, owner, kinds=KINDS)
        assert (ended.state, ended.error, ended.advice) == ("failed", "The plan is too old.", "Make a new one.")

    def test_it_can_be_paused_from_a_page(self, work: Work, tmp_path: Path) -> None:
        owner = new_owner()
        job = asked(work.store, tmp_path, owner=owner)
        threading.Timer(0.3, jobs.request_pause, (work.store, job.id)).start()
        assert run_here(job, work, owner, kinds=KINDS).state == "paused"

    def test_it_goes_on_here_where_it_stood(self, work: Work, tmp_path: Path) -> None:
        job = asked(work.store, tmp_path, steps=9, pause=0)
        (tmp_path / "at").write_text("6", encoding="ascii")
        jobs.request_pause(work.store, job.id)
        owner, told = new_owner(), list[Counted]()
        resumed = jobs.resume(work.store, job.id, owner)
        assert resumed
        assert run_here(resumed, work, owner, kinds=KINDS, on_snapshot=told.append).state == "finished"
        assert [one.progress.examined for one in told] == [7, 8, 9]


class TestSignals:
    @pytest.mark.parametrize(
        ("kind", "number", "becomes"),
        [
            ("lasting", signal.SIGINT, "paused"),
            ("change", signal.SIGINT, "cancelled"),
            ("lasting", signal.SIGTERM, "interrupted"),
        ],
    )
    def test_ctrl_c_pauses_what_can_go_on_and_ends_the_rest(
        self, store: Store, tmp_path: Path, kind: str, number: signal.Signals, becomes: str
    ) -> None:
        with running([sys.executable, "-c", PROGRAM, kind, str(tmp_path / "at")], environment(tmp_path)) as process:
            process.has_said("begun")
            os.kill(process.pid, number)
            process.has_said(becomes)
            assert process.end() == 0
        (job,) = jobs.newest(store, "main")
        assert job.state == becomes
        assert "Traceback" not in process.output()
