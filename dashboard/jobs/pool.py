"""The worker's jobs: takes what waits, runs a few side by side, and lets none outlive the worker unnoticed.

The queue of jobs is the jobs table itself, not huey's: a job that is written down is one that will be taken, by
exactly one worker, whichever process was killed in between. (huey keeps the periodic tasks.) Jobs have threads of
their own, so that long ones never keep housekeeping waiting.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping

from dashboard.cache.servers.connect import Cache
from dashboard.jobs import runner
from dashboard.jobs.kind import Kind, Work
from dashboard.jobs.kinds import KINDS
from dashboard.settings import Settings
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.jobs import Job

AT_ONCE = 4  # each takes up to `share` of a server's time, and a thread of ours
LOOK_SECONDS = 0.2  # a click shows its first figures within the second; one indexed query each time
TROUBLE_SECONDS = 5.0  # until the next look after one that failed
UNKNOWN_ADVICE = "Start a worker of the same version as the web process."

_log = logging.getLogger(__name__)


class Pool:
    """Runs jobs until it is told to stop. `start`, `ask_to_stop` and `finish` once each."""

    def __init__(
        self, store: Store, caches: Mapping[str, Cache], settings: Settings, kinds: Mapping[str, Kind] = KINDS
    ) -> None:
        self._store = store
        self._caches = caches
        self._settings = settings
        self._kinds = kinds
        self.owner = secrets.token_hex(8)
        self._stop = threading.Event()
        self._running: dict[int, threading.Thread] = {}
        self._dispatcher = threading.Thread(target=self._dispatch, name="jobs", daemon=True)

    def start(self) -> None:
        self._dispatcher.start()

    def ask_to_stop(self) -> None:
        """Jobs end as interrupted the next time that they yield."""
        self._stop.set()

    def finish(self, seconds: float) -> bool:
        """Wait so long for the jobs under way, then write down the rest as interrupted. Whether all had ended.

        The threads of the rest are left behind, in a call to a server that does not answer.
        """
        self._stop.set()
        deadline = time.monotonic() + seconds
        self._dispatcher.join(max(deadline - time.monotonic(), 0.0))
        for job_id, thread in list(self._running.items()):
            thread.join(max(deadline - time.monotonic(), 0.0))
            if thread.is_alive():
                self._write_off(job_id)
        return not any(thread.is_alive() for thread in self._running.values())

    def _write_off(self, job_id: int) -> None:
        try:
            jobs.end(self._store, job_id, self.owner, "interrupted", runner.STOPPED)
        except StoreError:
            _log.warning("job %d cannot be written down as interrupted; it shows as such in a moment", job_id)

    def _dispatch(self) -> None:
        pause, buried = 0.0, False
        while not self._stop.wait(pause):
            pause = LOOK_SECONDS
            try:
                buried = buried or jobs.bury(self._store) >= 0
                self._take()
            except StoreError:
                pause = TROUBLE_SECONDS  # the log has it
            except Exception:  # noqa: BLE001 (a defect of ours: it is logged, and the other jobs go on)
                _log.exception("jobs cannot be taken")
                pause = TROUBLE_SECONDS

    def _take(self) -> None:
        self._running = {job_id: thread for job_id, thread in self._running.items() if thread.is_alive()}
        if len(self._running) >= AT_ONCE:
            # One that was cancelled while its server does not answer is over; its thread keeps nobody waiting.
            self._running = {job_id: thread for job_id, thread in self._running.items() if self._is_open(job_id)}
        while len(self._running) < AT_ONCE and not self._stop.is_set():
            job = jobs.claim(self._store, self.owner, self._caches.keys())
            if job is None:
                return
            thread = threading.Thread(target=self._run, args=(job,), name=f"job {job.id}", daemon=True)
            self._running[job.id] = thread
            thread.start()

    def _is_open(self, job_id: int) -> bool:
        job = jobs.get(self._store, job_id)
        return job is not None and job.open

    def _run(self, job: Job) -> None:
        begun = time.monotonic()
        kind = self._kinds.get(job.kind)
        if kind is None:
            outcome = runner.Outcome("failed", f"This worker knows no jobs of the kind {job.kind!r}.", UNKNOWN_ADVICE)
            runner.write_down(job, self._store, self.owner, outcome, self._stop)
        else:
            work = Work(self._caches[job.cache], self._settings, self._store)
            outcome = runner.run(job, work, kind, self.owner, self._stop)
        seconds = f"{time.monotonic() - begun:.1f} s"
        _log.info(
            "Job %d (%s on %s): %s after %s. %s", job.id, job.kind, job.cache, outcome.state, seconds, outcome.error
        )
