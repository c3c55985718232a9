"""Trials and notifications for a bounded time, and real worker processes: one that is killed, and one that comes after
the deadline."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dashboard.cache.tuning.trial_rules import Guards
from dashboard.jobs import notifying
from dashboard.jobs.kind import Work
from tests.jobs.tuned import ADA, Tuned, tuned
from tests.programs import CACHEDECK, Running, environment, running, wait_until
from tests.servers import Server

TRIED = 10.0
"""Seconds of a trial: the shortest that there is."""


@pytest.fixture
def shop(valkey: Server, tmp_path: Path) -> Iterator[Tuned]:
    with tuned(tmp_path, valkey.url, [valkey]) as found:
        yield found


def _worker(site: Tuned) -> AbstractContextManager[Running]:
    url = f"shop=redis://bob:pw@127.0.0.1:{site.servers[0].port}"
    return running([*CACHEDECK, "worker"], environment(site.settings.data, CACHEDECK_CACHES=url))


def test_a_worker_takes_it_back_at_its_deadline(shop: Tuned) -> None:
    with _worker(shop) as worker:
        worker.has_said("Sampling shop")
        trial = shop.started(TRIED)
        wait_until(lambda: not shop.trial(trial.number).open, "it was taken back")
        assert shop.values("maxmemory-policy") == ["noeviction"]
        assert shop.trial(trial.number).state == "reverted"


def test_where_the_worker_was_killed_the_next_one_takes_it_back_after_the_deadline(shop: Tuned) -> None:
    with _worker(shop) as worker:
        worker.has_said("Sampling shop")
        trial = shop.started(TRIED, Guards(hit_ratio_points=2))
        wait_until(lambda: bool(shop.audited("settings.try")), "it is audited")
        os.kill(worker.pid, signal.SIGKILL)
        worker.end()
    # Nobody was there at the deadline: the settings stay, and the trial is open and overdue.
    wait_until(lambda: time.time() > trial.ends_at, "the deadline has passed")
    assert shop.values("maxmemory-policy") == ["allkeys-lfu"]
    assert shop.trial(trial.number).state == "running"
    with _worker(shop):
        wait_until(lambda: not shop.trial(trial.number).open, "the next worker took it back")
    assert shop.values("maxmemory-policy") == ["noeviction"]
    assert shop.trial(trial.number).state == "reverted"


def test_notifications_go_off_again_after_the_worker_was_killed(shop: Tuned, valkey: Server) -> None:
    shop.set("notify-keyspace-events", "Kg")
    work = Work(shop.cache, shop.settings, shop.store)
    with _worker(shop) as worker:
        worker.has_said("Sampling shop")
        trial = notifying.switch_on(work, "Ex", TRIED, ADA, "to look", purpose="notifications")
        assert trial
        os.kill(worker.pid, signal.SIGKILL)
        worker.end()
    wait_until(lambda: time.time() > trial.ends_at, "the deadline has passed")
    assert set(shop.values("notify-keyspace-events")[0]) == set("EKgx"), "nobody was there to take it back"
    with _worker(shop):
        wait_until(lambda: not shop.trial(trial.number).open, "the next worker took it back")
    assert set(shop.values("notify-keyspace-events")[0]) == set("Kg")
    assert shop.trial(trial.number).state == "reverted"
    (entry,) = shop.audited("events.off")
    assert entry.actor == "cachedeck, for ada"
    shop.set("notify-keyspace-events", "")
