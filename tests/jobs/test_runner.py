"""A job from its claim to its end: finished, failed, cancelled or interrupted, and never otherwise."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import update

from dashboard.cache.analysis.report import Snapshot
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs import results, runner
from dashboard.jobs.kind import Work
from dashboard.jobs.pool import AT_ONCE, Pool
from dashboard.jobs.start import start, until, until_first_snapshot
from dashboard.settings import Settings
from dashboard.store import audit, jobs
from dashboard.store import job as job_rows
from dashboard.store.engine import Store, open_store
from dashboard.store.errors import StoreUnavailable
from dashboard.store.jobs import Job
from dashboard.store.schema import JobRow
from tests.jobs.long_work import COUNT, KINDS, Counted
from tests.programs import CACHEDECK, Running, environment, running, wait_until
from tests.servers import HOST, Server
from tests.servers import running as server_running

OWNER = "this worker"
ENDLESS = {"steps": 1_000_000, "pause": 0.01}
PROGRAM = """
import logging
from dashboard.jobs.worker import run
from dashboard.settings import load_settings
from tests.jobs.long_work import KINDS
logging.basicConfig(level=logging.INFO, format="%(message)s")
run(load_settings(), kinds=KINDS)
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


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(runner, "BEAT_SECONDS", 0.02)


def asked(store: Store, kind: str = "count", **arguments: Any) -> Job:
    return start(store, "main", kind, arguments, "otto", "10.0.0.1", "to see it")


def ran(work: Work, job: Job, stop: threading.Event | None = None) -> Job:
    """The job after it was claimed and run."""
    claimed = jobs.claim(work.store, OWNER, ["main"])
    assert claimed
    assert claimed.id == job.id
    runner.run(claimed, work, KINDS[job.kind], OWNER, stop or threading.Event())
    return seen(work.store, job)


def seen(store: Store, job: Job) -> Job:
    found = jobs.get(store, job.id)
    assert found
    return found


def snapshot(store: Store, job: Job) -> Counted | None:
    found = results.snapshot(store, seen(store, job), KINDS)
    assert found is None or isinstance(found, Counted)
    return found


@contextmanager
def pool(work: Work) -> Iterator[Pool]:
    made = Pool(work.store, {"main": work.cache}, work.settings, KINDS)
    made.start()
    try:
        yield made
    finally:
        made.finish(10)


class TestHowItEnds:
    def test_finished_with_its_last_snapshot(self, work: Work) -> None:
        job = ran(work, asked(work.store, steps=5))
        assert (job.state, job.error, job.advice) == ("finished", "", "")
        found = snapshot(work.store, job)
        assert found
        assert found.numbers == (0, 1, 2, 3, 4)
        assert results.progress(job) == found.progress
        assert job.started_at
        assert job.ended_at
        assert job.created_at <= job.started_at <= job.ended_at

    def test_finished_without_having_yielded_anything(self, work: Work) -> None:
        job = ran(work, asked(work.store, steps=0))
        assert job.state == "finished"
        assert snapshot(work.store, job) is None
        assert results.progress(job) is None

    @pytest.mark.parametrize(
        ("error", "sentence", "advice"),
        [
            ("unreachable", "main cannot be reached.", "Check that the server runs"),
            ("refused", "The plan is too old.", "Make a new one."),
        ],
    )
    def test_failed_with_the_sentence_and_what_was_found_by_then(
        self, work: Work, error: str, sentence: str, advice: str
    ) -> None:
        job = ran(work, asked(work.store, steps=4, error=error))
        assert (job.state, job.error) == ("failed", sentence)
        assert job.advice.startswith(advice)
        found = snapshot(work.store, job)
        assert found
        assert found.progress.examined == 3

    def test_failed_by_a_defect_which_the_log_tells_and_the_screen_does_not(
        self, work: Work, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = ran(work, asked(work.store, error="defect"))
        assert (job.state, job.error, job.advice) == ("failed", runner.DEFECT, runner.DEFECT_ADVICE)
        assert "ZeroDivisionError" in caplog.text
        assert "secret" not in job.error + job.advice

    def test_failed_by_a_snapshot_that_cannot_be_kept(
        self, work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(runner, "text_of", lambda *_: 1 / 0)
        assert ran(work, asked(work.store)).state == "failed"

    @pytest.mark.parametrize("error", ["unreachable", "defect"])
    def test_a_failure_leaves_the_progress_where_it_was(self, work: Work, error: str) -> None:
        job = ran(work, asked(work.store, steps=4, error=error))
        progress = results.progress(job)
        assert progress
        assert (progress.share, progress.ended, progress.complete) == (0.75, False, False)

    @pytest.mark.usefixtures("quick_looks")
    def test_cancelled_by_closing_the_generator(self, work: Work, tmp_path: Path) -> None:
        job = asked(work.store, **ENDLESS, closed=str(tmp_path / "closed"))
        thread = threading.Thread(target=ran, args=(work, job))
        thread.start()
        until_first_snapshot(work.store, job, 10)
        jobs.request_cancel(work.store, job.id)
        thread.join(120)
        assert not thread.is_alive()
        ended = seen(work.store, job)
        assert (ended.state, ended.cancelling) == ("cancelled", False)
        assert (tmp_path / "closed").read_text() == "closed"
        found = snapshot(work.store, job)
        assert found
        assert found.progress.examined < 1_000_000

    @pytest.mark.usefixtures("quick_looks")
    def test_cancelled_while_it_waits_for_a_server_that_does_not_answer(
        self, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner, "PATIENCE_SECONDS", 0.1)
        job = asked(work.store, steps=2, hang=1000)
        threading.Thread(target=ran, args=(work, job), daemon=True).start()
        until_first_snapshot(work.store, job, 10)
        jobs.request_cancel(work.store, job.id)
        ended = until(work.store, job, lambda found: not found.open, 10)
        assert (ended.state, ended.cancelling) == ("cancelled", False)
        assert snapshot(work.store, job)

    @pytest.mark.usefixtures("quick_looks")
    def test_a_change_is_cancelled_only_when_it_says_how_far_it_is(
        self, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner, "PATIENCE_SECONDS", 0.0)
        job = asked(work.store, "change", steps=2, hang=1)
        thread = threading.Thread(target=ran, args=(work, job))
        thread.start()
        until_first_snapshot(work.store, job, 10)
        jobs.request_cancel(work.store, job.id)
        thread.join(120)
        assert seen(work.store, job).state == "cancelled"
        (entry,) = audit.search(work.store, audit.Filters(action="keys.count"))
        assert entry.after["counted"] == 2

    def test_interrupted_by_a_stop_which_closes_the_generator(self, work: Work, tmp_path: Path) -> None:
        stop = threading.Event()
        stop.set()
        job = ran(work, asked(work.store, **ENDLESS, closed=str(tmp_path / "closed")), stop)
        assert (job.state, job.error) == ("interrupted", runner.STOPPED)
        assert (tmp_path / "closed").exists()
        found = snapshot(work.store, job)
        assert found
        assert found.progress.examined == 1

    @pytest.mark.usefixtures("quick_looks")
    def test_taken_for_dead_it_ends_and_changes_nothing_any_more(
        self, work: Work, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = asked(work.store, **ENDLESS, closed=str(tmp_path / "closed"))
        thread = threading.Thread(target=ran, args=(work, job))
        thread.start()
        until_first_snapshot(work.store, job, 10)
        with work.store.write() as session:
            session.execute(update(JobRow).values(state="interrupted", ended_at=1.0, error="Buried."))
        thread.join(120)
        assert not thread.is_alive()
        assert (tmp_path / "closed").exists()
        assert (seen(work.store, job).error, seen(work.store, job).ended_at) == ("Buried.", 1.0)
        assert "was taken for dead meanwhile" in caplog.text


class TestSnapshots:
    def test_the_first_is_kept_at_once_and_the_others_seldom(self, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[int] = []
        save = jobs.save

        def noting(store: Store, job_id: int, owner: str, progress: Any, text: str) -> jobs.Order:
            kept.append(progress["examined"])
            return save(store, job_id, owner, progress, text)

        monkeypatch.setattr(jobs, "save", noting)
        monkeypatch.setattr(runner, "SAVE_SECONDS", 1000.0)
        ran(work, asked(work.store, steps=50))
        assert kept == [1, 50]

    def test_a_database_that_fails_for_a_moment_costs_nothing(
        self, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save, failures = jobs.save, iter([True, True])

        def failing(*arguments: Any) -> jobs.Order:
            if next(failures, False):
                raise StoreUnavailable("Locked.")
            return save(*arguments)

        monkeypatch.setattr(jobs, "save", failing)
        monkeypatch.setattr(runner, "SAVE_SECONDS", 0.0)
        job = ran(work, asked(work.store, steps=4))
        assert job.state == "finished"
        assert snapshot(work.store, job)

    def test_its_end_is_written_down_when_the_database_is_back(
        self, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        end, failures = jobs.end, iter([True])

        def failing(*arguments: Any) -> bool:
            if next(failures, False):
                raise StoreUnavailable("Locked.")
            return end(*arguments)

        monkeypatch.setattr(jobs, "end", failing)
        assert ran(work, asked(work.store)).state == "finished"

    def test_one_that_another_version_wrote_counts_as_none(self, work: Work, caplog: pytest.LogCaptureFixture) -> None:
        job = asked(work.store)
        jobs.claim(work.store, OWNER, ["main"])
        jobs.save(work.store, job.id, OWNER, {"examined": "many"}, '{"progress": 7}')
        assert snapshot(work.store, job) is None
        assert results.progress(seen(work.store, job)) is None
        assert "another version wrote it" in caplog.text


class TestSignsOfLife:
    @pytest.mark.usefixtures("quick_looks")
    def test_a_step_that_takes_long_is_not_taken_for_death(self, work: Work) -> None:
        job = asked(work.store, steps=2, hang=1000)
        claimed = jobs.claim(work.store, OWNER, ["main"])
        assert claimed
        arguments = (claimed, work, COUNT, OWNER, threading.Event())
        threading.Thread(target=runner.run, args=arguments, daemon=True).start()
        until_first_snapshot(work.store, job, 10)
        for _ in range(3):  # whatever is done to its heartbeat, the next one comes while the step goes on
            with work.store.write() as session:
                session.execute(update(JobRow).values(heartbeat_at=time.time() - jobs.DEAD_SECONDS - 1))
            until(work.store, seen(work.store, job), lambda found: found.state == "running", 10)
            assert seen(work.store, job).state == "running"
        with work.store.write() as session:  # ends the pulse
            session.execute(update(JobRow).values(state="interrupted", ended_at=1.0))

    def test_they_end_with_the_job(self, work: Work) -> None:
        before = threading.active_count()
        ran(work, asked(work.store))
        assert threading.active_count() == before


class TestAudit:
    def entry(self, store: Store) -> audit.Entry:
        (entry,) = audit.search(store, audit.Filters(action="keys.count"))
        return entry

    def test_what_only_looks_leaves_no_entry(self, work: Work) -> None:
        ran(work, asked(work.store))
        assert audit.search(work.store, audit.Filters()) == []

    def test_a_change_is_written_down_in_the_name_of_who_asked(self, work: Work) -> None:
        job = ran(work, asked(work.store, "change", steps=4))
        entry = self.entry(work.store)
        assert (entry.actor, entry.address, entry.cache) == ("otto", "10.0.0.1", "main")
        assert (entry.subject, entry.reason, entry.status) == ("4 numbers", "to see it", "done")
        assert entry.after == {"job": job.id, "counted": 4}

    def test_a_failure_tells_how_much_was_done_by_then(self, work: Work) -> None:
        ran(work, asked(work.store, "change", steps=4, error="unreachable"))
        entry = self.entry(work.store)
        assert (entry.status, entry.error) == ("failed", "main cannot be reached.")
        assert entry.after["counted"] == 3

    def test_a_cancellation_tells_how_much_was_done_by_then(self, work: Work) -> None:
        job = asked(work.store, "change", **ENDLESS)
        thread = threading.Thread(target=ran, args=(work, job))
        thread.start()
        until_first_snapshot(work.store, job, 10)
        jobs.request_cancel(work.store, job.id)
        thread.join(120)
        entry = self.entry(work.store)
        assert (entry.status, entry.error) == ("failed", runner.CANCELLED)
        assert 0 < entry.after["counted"] < 1_000_000

    def test_without_a_written_attempt_nothing_is_begun(
        self, work: Work, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def locked(*_arguments: Any) -> int:
            raise StoreUnavailable("The audit trail is locked.")

        monkeypatch.setattr("dashboard.store.chain.append", locked)
        job = ran(work, asked(work.store, "change", closed=str(tmp_path / "closed")))
        assert (job.state, job.error) == ("failed", "The audit trail is locked.")
        assert not (tmp_path / "closed").exists()
        assert job.progress is None


class TestPool:
    def test_it_takes_what_is_asked_for(self, work: Work) -> None:
        with pool(work):
            job = until(work.store, asked(work.store), lambda found: not found.open, 20)
        assert job.state == "finished"

    def test_it_runs_a_few_side_by_side_and_the_next_when_one_ends(self, work: Work) -> None:
        made = [asked(work.store, **ENDLESS) for _ in range(AT_ONCE + 1)]
        with pool(work):
            for job in made[:AT_ONCE]:
                until_first_snapshot(work.store, job, 20)
            assert [seen(work.store, job).state for job in made] == ["running"] * AT_ONCE + ["queued"]
            jobs.request_cancel(work.store, made[0].id)
            last = until(work.store, made[-1], lambda found: found.state == "running", 20)
            assert last.state == "running"
        assert [seen(work.store, job).state for job in made] == ["cancelled"] + ["interrupted"] * AT_ONCE

    def test_two_pools_run_each_job_once(self, work: Work) -> None:
        made = [asked(work.store, "change") for _ in range(12)]
        with pool(work), pool(work):
            for job in made:
                until(work.store, job, lambda found: not found.open, 30)
        entries = audit.search(work.store, audit.Filters(action="keys.count"))
        assert sorted(entry.after["job"] for entry in entries) == [job.id for job in made]

    def test_a_job_that_hangs_at_a_stop_is_written_down_without_it(self, work: Work) -> None:
        job = asked(work.store, steps=2, hang=1000)
        made = Pool(work.store, {"main": work.cache}, work.settings, KINDS)
        made.start()
        until_first_snapshot(work.store, job, 20)
        made.finish(0.1)
        assert (seen(work.store, job).state, seen(work.store, job).error) == ("interrupted", runner.STOPPED)

    def test_a_kind_of_another_version_fails_and_says_so(self, work: Work) -> None:
        with pool(work):
            job = until(work.store, asked(work.store, "dance"), lambda found: not found.open, 20)
        assert job.state == "failed"
        assert "'dance'" in job.error

    def test_it_writes_down_at_its_start_what_was_interrupted(self, work: Work) -> None:
        job = asked(work.store)
        jobs.claim(work.store, "killed", ["main"])
        with work.store.write() as session:
            session.execute(update(JobRow).values(heartbeat_at=1.0))
        with pool(work):
            wait_until(lambda: written(work.store, job) == "interrupted", "the burial")

    def test_it_goes_on_after_the_database_did_not_answer(self, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        claim, failures = jobs.claim, iter([StoreUnavailable("Locked."), ZeroDivisionError()])

        def failing(*arguments: Any) -> Job | None:
            error = next(failures, None)
            if error is not None:
                raise error
            return claim(*arguments)

        monkeypatch.setattr(jobs, "claim", failing)
        monkeypatch.setattr("dashboard.jobs.pool.TROUBLE_SECONDS", 0.01)
        with pool(work):
            job = until(work.store, asked(work.store), lambda found: not found.open, 20)
        assert job.state == "finished"


def written(store: Store, job: Job) -> str:
    """The state as the row has it, not as it is read."""
    with store.read() as session:
        return session.get_one(JobRow, job.id).state


class TestRealWorkers:
    @contextmanager
    def worker(self, tmp_path: Path) -> Iterator[Running]:
        # Nobody listens there: the sampler says so, and the work of these tests asks no server.
        variables = environment(tmp_path, CACHEDECK_CACHES=f"main=redis://{HOST}:1?timeout=0.5&connect_timeout=0.5")
        with running([sys.executable, "-c", PROGRAM], variables) as process:
            process.has_said("Sampling main")
            yield process

    def test_a_killed_worker_s_job_shows_as_interrupted_and_can_be_started_again(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = asked(store, **ENDLESS)
        with self.worker(tmp_path) as process:
            assert until_first_snapshot(store, job, 30).progress
            os.kill(process.pid, signal.SIGKILL)
            process.end()
        assert written(store, job) == "running"
        monkeypatch.setattr(job_rows, "DEAD_SECONDS", 0.5)
        found = until(store, seen(store, job), lambda one: not one.open, 20)
        assert (found.state, found.error) == ("interrupted", jobs.INTERRUPTED)
        assert snapshot(store, job)
        again = start(store, job.cache, job.kind, {**job.arguments, "steps": 2}, "ada", "local")
        with self.worker(tmp_path):
            assert until(store, again, lambda one: not one.open, 30).state == "finished"

    def test_the_next_worker_writes_it_down(self, store: Store, tmp_path: Path) -> None:
        job = asked(store, **ENDLESS)
        with self.worker(tmp_path) as process:
            until_first_snapshot(store, job, 30)
            os.kill(process.pid, signal.SIGKILL)
            process.end()
        with store.write() as session:
            session.execute(update(JobRow).values(heartbeat_at=time.time() - jobs.DEAD_SECONDS - 1))
        with self.worker(tmp_path):
            wait_until(lambda: written(store, job) == "interrupted", "the burial")

    @pytest.mark.parametrize("arguments", [ENDLESS, {"steps": 2, "hang": 1000}], ids=["yielding", "hanging"])
    def test_a_stopped_worker_leaves_its_job_as_interrupted(
        self, store: Store, tmp_path: Path, arguments: dict[str, Any]
    ) -> None:
        job = asked(store, **arguments)
        with self.worker(tmp_path) as process:
            until_first_snapshot(store, job, 30)
            process.process.send_signal(signal.SIGTERM)
            assert process.end() == 0
        assert written(store, job) == "interrupted"
        assert seen(store, job).error == runner.STOPPED
        assert "Traceback" not in process.output()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_running("--enable-debug-command", "yes") as server, closing(server.client()) as client:
        client.execute_command("DEBUG", "POPULATE", 300_000, "api:user", 20)
        yield server


class TestRealAnalyses:
    """`cachedeck worker` itself, with the kind that operators use most."""

    SLOWLY: ClassVar[dict[str, Any]] = {"selection": {}, "share": 0.05, "replicas": False}

    @contextmanager
    def worker(self, tmp_path: Path, server: Server) -> Iterator[Running]:
        variables = environment(tmp_path, CACHEDECK_CACHES=f"main={server.url}?timeout=60")
        with running([*CACHEDECK, "worker"], variables) as process:
            process.has_said("Sampling main")
            yield process

    def test_a_killed_worker_s_analysis_is_interrupted_and_can_be_started_again(
        self, store: Store, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = start(store, "main", "analysis", self.SLOWLY, "otto", "local")
        with self.worker(tmp_path, server) as process:
            assert until_first_snapshot(store, job, 30).progress
            os.kill(process.pid, signal.SIGKILL)
            process.end()
        with monkeypatch.context() as patch:
            patch.setattr(job_rows, "DEAD_SECONDS", 0.5)
            assert until(store, job, lambda one: not one.open, 20).state == "interrupted"
        found = results.snapshot(store, seen(store, job))
        assert isinstance(found, Snapshot)
        assert 0 < found.progress.share < 1
        again = start(store, "main", "analysis", {**job.arguments, "share": 1.0}, "otto", "local")
        with self.worker(tmp_path, server):
            ended = until(store, again, lambda one: not one.open, 60)
        assert ended.state == "finished"
        found = results.snapshot(store, ended)
        assert isinstance(found, Snapshot)
        assert found.report.keys == (300_000, 300_000, 300_000)

    def test_it_is_cancelled_and_its_estimates_stay(self, store: Store, tmp_path: Path, server: Server) -> None:
        job = start(store, "main", "analysis", self.SLOWLY, "otto", "local")
        with self.worker(tmp_path, server):
            until_first_snapshot(store, job, 30)
            jobs.request_cancel(store, job.id)
            assert until(store, job, lambda one: not one.open, 30).state == "cancelled"
        found = results.snapshot(store, seen(store, job))
        assert isinstance(found, Snapshot)
        assert not found.report.keys.exact

    def test_a_call_that_hangs_does_not_keep_a_stopped_worker(
        self, store: Store, tmp_path: Path, server: Server
    ) -> None:
        job = start(store, "main", "analysis", self.SLOWLY, "otto", "local")
        with self.worker(tmp_path, server) as process:
            until_first_snapshot(store, job, 30)
            server.process.send_signal(signal.SIGSTOP)
            try:
                process.process.send_signal(signal.SIGTERM)
                assert process.end() == 0  # the call itself takes 60 s
            finally:
                server.process.send_signal(signal.SIGCONT)
        assert written(store, job) == "interrupted"
