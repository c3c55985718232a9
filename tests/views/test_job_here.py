"""What one cache's job has found is on the pages of that cache and of that kind of job, and nowhere else."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from dashboard.store import jobs
from dashboard.store.engine import Store

KINDS = {
    "retimings": "retime.plan",
    "savings": "saving",
    "messages": "publish",
    "stampedes": "stampede_watch",
    "eviction-traces": "eviction_trace",
}


@pytest.mark.parametrize("screen", KINDS)
def test_a_job_of_another_cache_or_kind_does_not_exist_here(screen: str, operator: FlaskClient, store: Store) -> None:
    elsewhere = jobs.create(store, "other", KINDS[screen], {}, "ada", "10.0.0.1")
    of_another_kind = jobs.create(store, "main", "analysis", {}, "ada", "10.0.0.1")
    for job in (elsewhere.id, of_another_kind.id, of_another_kind.id + 1000):
        answer = operator.get(f"/caches/main/{screen}/{job}")
        assert answer.status_code == 404
        assert "Old ones are forgotten." in answer.text
