"""Running a job in this process, to its end: for what is over within a moment, and for the command line.

The job's row is made as already running for an owner of this process (`owner` of jobs.create and jobs.resume), so no
worker takes it. From then on it is a job as any other: it says that it lives, is audited, can be paused and cancelled
from a page, and is interrupted if this process is killed.
"""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from dashboard.jobs import runner
from dashboard.jobs.kind import Kind, Work
from dashboard.jobs.kinds import KINDS
from dashboard.store import jobs
from dashboard.store.jobs import Job


def new_owner() -> str:
    """A name for this process as the owner of one job."""
    return secrets.token_hex(8)


def run_here(
    job: Job,
    work: Work,
    owner: str,
    *,
    kinds: Mapping[str, Kind] = KINDS,
    on_snapshot: Callable[[Any], None] | None = None,
    by_signals: bool = False,
) -> Job:
    """Drive a job that `owner` owns already to its end, in this thread; the job as it is then.

    on_snapshot: is given each snapshot. by_signals: Ctrl-C asks for a pause where the kind can go on later and for the
    job's end where it cannot, a second one raises KeyboardInterrupt; SIGTERM interrupts the job. For a main thread.
    Raises nothing that the kind raises: the job says how it ended. Raises StoreUnavailable.
    """
    kind, stop = kinds[job.kind], threading.Event()
    wish = runner.Wish()
    with _signals(kind, wish) if by_signals else _no_signals():
        runner.run(job, work, kind, owner, stop, wish=wish, on_snapshot=on_snapshot)
    return jobs.get(work.store, job.id) or job


@contextmanager
def _signals(kind: Kind, wish: runner.Wish) -> Iterator[None]:
    """The handlers only leave a wish: they may come in the middle of anything."""

    def pause(number: int, frame: FrameType | None) -> None:
        if wish.order != "go on":
            signal.default_int_handler(number, frame)
        wish.order = "pause" if kind.resumes else "cancel"

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        wish.order = "stop"

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, pause),
        signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _no_signals() -> Iterator[None]:
    yield
