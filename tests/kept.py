"""Jobs whose results are kept, made without running them: for the screens that draw a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.jobs.kinds import KINDS
from dashboard.jobs.results import progress_of, text_of
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Ended, Job

OWNER = "k" * 16


def keep(
    store: Store,
    snapshot: Any,
    query: Mapping[str, str] | None = None,
    *,
    kind: str = "analysis",
    arguments: Mapping[str, Any] | None = None,
    cache: str = "main",
    state: Ended | None = "finished",
    error: str = "",
) -> Job:
    """A job that has found this; `query`: the selection it was asked for. state None: it still runs."""
    given = {"selection": dict(query or {}), "share": 0.5, "replicas": False} if arguments is None else dict(arguments)
    job = jobs.create(store, cache, kind, given, "otto", "127.0.0.1")
    claimed = jobs.claim(store, OWNER, [cache])
    assert claimed
    assert claimed.id == job.id
    jobs.save(store, job.id, OWNER, progress_of(snapshot.progress), text_of(KINDS[kind], snapshot))
    if state is not None:
        jobs.end(store, job.id, OWNER, state, error)
    found = jobs.get(store, job.id)
    assert found
    return found
