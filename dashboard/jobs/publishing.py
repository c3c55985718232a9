"""Publishing a message: by a job that this process runs itself, as no other is given the message (publish_job.py)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dashboard.cache.messages import publishing
from dashboard.cache.messages.draft import Draft
from dashboard.jobs.caller import Caller
from dashboard.jobs.kind import Kind, Refused, Work
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.publish_job import NAME, arguments
from dashboard.jobs.run_here import new_owner, run_here
from dashboard.store import jobs
from dashboard.store.errors import StoreError
from dashboard.store.jobs import Job

AT_ONCE = 8
"""So many messages are listened after at a time, by this process, beside its requests."""

_log = logging.getLogger(__name__)
_places = threading.BoundedSemaphore(AT_ONCE)


def publish_aside(work: Work, draft: Draft, seconds: float, caller: Caller, reason: str = "") -> Job:
    """Publish in a thread of its own: the job, which has only begun.

    Audited as "message.publish", without the message. If this process is killed meanwhile the job shows as interrupted;
    the message is out by then. Raises Refused, ReadOnlyCache, StoreError.
    """
    work.cache.require_writable()
    places = _places
    if not places.acquire(blocking=False):
        raise Refused(f"{AT_ONCE} messages are being listened after just now.", "Wait some seconds.")
    try:
        job, run = _prepared(work, draft, seconds, caller, reason)
        threading.Thread(target=_run_aside, args=(run, places), name=f"message of job {job.id}", daemon=True).start()
    except BaseException:
        places.release()
        raise
    return job


def publish_here(
    work: Work,
    draft: Draft,
    seconds: float,
    caller: Caller,
    reason: str = "",
    on_snapshot: Callable[[Any], None] | None = None,
) -> Job:
    """Publish in this thread, for the command line: the job as it ended. As publish_aside()."""
    work.cache.require_writable()
    _, run = _prepared(work, draft, seconds, caller, reason, on_snapshot, by_signals=True)
    return run()


def _prepared(
    work: Work,
    draft: Draft,
    seconds: float,
    caller: Caller,
    reason: str,
    on_snapshot: Callable[[Any], None] | None = None,
    *,
    by_signals: bool = False,
) -> tuple[Job, Callable[[], Job]]:
    """The job, which is ours, and what runs it."""
    owner = new_owner()
    job = jobs.create(
        work.store,
        work.cache.name,
        NAME,
        arguments(draft, seconds, work.cache.name),
        caller.name,
        caller.address,
        reason,
        owner=owner,
    )

    def run() -> Job:
        kinds = _with_message(draft, seconds)
        return run_here(job, work, owner, kinds=kinds, on_snapshot=on_snapshot, by_signals=by_signals)

    return job, run


def _with_message(draft: Draft, seconds: float) -> Mapping[str, Kind]:
    """The kind, given the message that its job does not hold."""
    kind = replace(KINDS[NAME], start=lambda work, _given: publishing.publish(work.cache, draft, seconds))
    return {NAME: kind}


def _run_aside(run: Callable[[], Job], places: threading.BoundedSemaphore) -> None:
    try:
        run()
    except StoreError as error:
        _log.warning("what became of a message could not be written down: %s", error.sentence)
    finally:
        places.release()
