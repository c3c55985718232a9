"""What the pages of work that listens have in common: they say how long notifications stay on for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from dashboard.store import trials
from dashboard.store.engine import Store
from dashboard.store.job import Job
from dashboard.store.trials import Asked, Draft, Trial
from tests.kept import MEASURED, WATCHED, keep_trace, keep_watch
from tests.views.conftest import by_htmx

Keep = Callable[[Store, int], Job]


def _trace(store: Store, number: int) -> Job:
    return keep_trace(store, replace(MEASURED, trial=number), state="running")


def _watch(store: Store, number: int) -> Job:
    return keep_watch(store, replace(WATCHED, trial=number), state="running")


@pytest.fixture
def switched_on(store: Store) -> Trial:
    wanted = {"notify-keyspace-events": "Eem"}
    return trials.begin(store, Draft("main", "events", wanted, 600, Asked("ada", "10.0.0.1", "to look")))


@pytest.mark.parametrize(("path", "keep"), [("eviction-traces", _trace), ("stampedes", _watch)])
@pytest.mark.parametrize("fragment", [False, True], ids=["page", "fragment"])
def test_while_they_are_on_it_says_until_when(
    path: str, keep: Keep, fragment: bool, viewer: FlaskClient, store: Store, switched_on: Trial
) -> None:
    job = keep(store, switched_on.number)
    answer = viewer.get(f"/caches/main/{path}/{job.id}", headers=by_htmx(viewer) if fragment else {})
    assert answer.status_code == 200
    assert "notify-keyspace-events is Eem until <time" in answer.text
