"""The kind "saving": what it is given, what it refuses, and that a run of it ends with a result that can be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.cache.estimate import Estimate
from dashboard.cache.saving.report import SavingSnapshot
from dashboard.cache.servers.connect import Cache
from dashboard.jobs.kind import Refused, Work
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.results import text_of
from dashboard.jobs.saving_job import KIND, arguments
from dashboard.settings import Settings
from dashboard.store.engine import open_store
from tests.servers import Server


@pytest.fixture
def work(tmp_path: Path, valkey: Server) -> Iterator[Work]:
    settings = Settings(caches=f"main={valkey.url}", data=tmp_path)  # type: ignore[arg-type]
    store = open_store(settings.database)
    cache = Cache(settings.caches[0])
    yield Work(cache, settings, store)
    cache.close()
    store.close()


def test_it_is_a_kind_that_changes_nothing() -> None:
    assert KINDS["saving"] is KIND
    assert not KIND.changes
    assert KIND.subject(arguments("api:name:*", Estimate(1, 1, 1))) == "strings of api:name:*"


def test_a_run_ends_with_a_result_that_can_be_read(work: Work, valkey: Server) -> None:
    with contextlib.closing(valkey.client()) as client:
        for number in range(400):
            client.set(f"api:name:{number}", "x" * 20)
    *_, last = KIND.start(work, arguments("api:name:*", Estimate(400, 390, 410)))
    read = KIND.adapter.validate_json(text_of(KIND, last))
    assert isinstance(read, SavingSnapshot)
    assert read == last
    assert read.saving.keys == Estimate(400, 390, 410)
    assert read.saving.saves


@pytest.mark.parametrize("given", [{}, {"namespace": 7}, {"namespace": ""}, {"namespace": "x" * 20_000}])
def test_arguments_that_name_no_namespace_are_refused(work: Work, given: dict[str, object]) -> None:
    with pytest.raises(Refused, match="does not say which namespace"):
        next(KIND.start(work, given))


def test_a_count_that_cannot_be_read_is_taken_for_unknown(work: Work) -> None:
    first = next(KIND.start(work, {"namespace": "api:name:*", "keys": ["many"]}))
    assert isinstance(first, SavingSnapshot)
    assert first.saving.keys.value == 0
