"""The kind "stampede_watch": notifications are on while it watches, and as they were afterwards, whatever happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from dashboard.cache.stampedes.run import Watch
from dashboard.jobs.kind import Refused, Work
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.notifying import KINDS as SWITCHING
from dashboard.jobs.results import counts, snapshot, text_of
from dashboard.jobs.stampede_watch_job import KIND, NAME, arguments
from dashboard.store import jobs, trials
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from tests.jobs.tuned import Tuned, tuned
from tests.programs import CACHEDECK, Running, environment, running, wait_until
from tests.servers import Cluster, start
from tests.stampeding import stampede

SETTING = "notify-keyspace-events"
NEEDED = frozenset("E$egmnx")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Tuned]:
    server = start()
    try:
        with tuned(tmp_path, server.url, [server]) as found:
            yield found
    finally:
        server.stop()


def work(site: Tuned) -> Work:
    return Work(site.cache, site.settings, site.store)


def given(seconds: float = 1.0, **more: bool) -> dict[str, object]:
    return arguments(seconds, "ada", "10.0.0.1", 20, **more)


def flags(site: Tuned) -> list[frozenset[str]]:
    return [frozenset(one.replace("A", "g$lshzxetd")) for one in site.values(SETTING)]


def test_it_is_for_admins_and_says_that_it_changes_the_cache() -> None:
    assert KINDS[NAME] is KIND
    assert NAME in SWITCHING
    assert KIND.role is Role.ADMIN
    assert KIND.changes
    assert not KIND.again


def test_notifications_are_on_while_it_watches_and_as_they_were_afterwards(shop: Tuned) -> None:
    shop.set(SETTING, "Kx")
    seen: list[frozenset[str]] = []
    last: object = None
    for found in KIND.start(work(shop), given(reads=True)):
        last = found
        if not seen:
            stampede(shop.servers[0].client, "api:product:17", 30, lock=False)
        seen.append(flags(shop)[0])
    assert seen[0] == NEEDED | frozenset("Kx")
    assert flags(shop) == [frozenset("Kx")]
    assert isinstance(last, Watch)
    assert last.progress.ended
    assert [one.key.text for one in last.found.alerts] == ["api:product:17"]
    assert last.trial is not None
    assert shop.trial(last.trial).state == "reverted"
    assert [entry.status for entry in (*shop.audited("events.on"), *shop.audited("events.off"))] == ["done", "done"]
    assert KIND.adapter.validate_json(text_of(KIND, last)) == last
    assert KIND.counts(last) == {"misses": 30, "alerts": 1, "events": last.events}


def test_where_they_are_on_already_nothing_is_changed(shop: Tuned) -> None:
    for already in ("E$egmnx", "AKEm"):
        shop.set(SETTING, already)
        before = shop.values(SETTING)
        *_, last = KIND.start(work(shop), given(0.5))
        assert isinstance(last, Watch)
        assert last.trial is None
        assert shop.values(SETTING) == before
    assert shop.audited("events.on") == []


@pytest.mark.parametrize("already", ["AK", "KElshztd"])
def test_where_all_classes_are_on_it_asks_for_no_flag_that_servers_do_not_tell_then(shop: Tuned, already: str) -> None:
    shop.set(SETTING, already)
    before = shop.values(SETTING)
    snapshots = KIND.start(work(shop), given())
    assert isinstance(first := next(snapshots), Watch)
    assert not first.new
    with closing(shop.servers[0].client()) as client:
        for _ in range(30):
            client.hgetall("api:product:17")
        client.hset("api:product:17", "f", "v")
    *_, last = snapshots
    assert isinstance(last, Watch)
    assert [one.latest.refills for one in last.found.alerts] == [1]
    assert shop.values(SETTING) == before


def test_cancelled_it_gives_back_what_was_there(shop: Tuned) -> None:
    snapshots = KIND.start(work(shop), given(60.0))
    next(snapshots)
    assert flags(shop) == [NEEDED]
    snapshots.close()  # type: ignore[attr-defined]
    assert flags(shop) == [frozenset()]
    assert trials.open_on(shop.store, ["shop"]) == []


@pytest.mark.parametrize("right", ["-subscribe", "-config|get", "-config|set"])
def test_what_is_denied_leaves_nothing_switched_on(shop: Tuned, right: str) -> None:
    shop.forbid(shop.servers[0], right)
    with pytest.raises(Exception, match=r"SUBSCRIBE|CONFIG|cannot be read"):
        list(KIND.start(work(shop), given()))
    assert flags(shop) == [frozenset()]
    assert trials.open_on(shop.store, ["shop"]) == []


def test_where_they_cannot_be_read_they_are_taken_for_granted_by_who_says_that_they_are_on(shop: Tuned) -> None:
    shop.set(SETTING, "AKEmn")
    shop.forbid(shop.servers[0], "-config|get", "-config|set")
    snapshots = KIND.start(work(shop), given(on=True))
    next(snapshots)
    with closing(shop.servers[0].client()) as client:
        client.get("gone")
    *_, last = snapshots
    assert isinstance(last, Watch)
    assert last.found.misses == 1
    assert "taken for granted" in last.notes[0]


def test_the_separator_of_the_settings_makes_the_namespaces(shop: Tuned) -> None:
    site = Work(shop.cache, shop.settings.model_copy(update={"namespace_separator": "/"}), shop.store)
    snapshots = KIND.start(site, given())
    next(snapshots)
    with closing(shop.servers[0].client()) as client:
        client.get("api/product/17")
    *_, last = snapshots
    assert isinstance(last, Watch)
    assert [row.name for row in last.found.namespaces] == ["api/product/*"]


def test_a_cluster_is_switched_on_and_off_on_every_primary(cluster: Cluster, tmp_path: Path) -> None:
    with tuned(tmp_path, cluster.url, cluster.servers) as site:
        snapshots = KIND.start(work(site), given())
        next(snapshots)
        assert flags(site) == [NEEDED] * 3
        with closing(cluster.client()) as client:
            for number in range(60):
                client.get(f"missing:{number}")
        *_, last = snapshots
        assert flags(site) == [frozenset()] * 3
    assert isinstance(last, Watch)
    assert last.found.misses == 60


@pytest.mark.parametrize(
    "wrong", [{}, {"seconds": 0}, {"seconds": 1e9}, {"seconds": "nan"}, {"seconds": 60, "threshold": 1}]
)
def test_arguments_that_say_nothing_sensible_are_refused(shop: Tuned, wrong: dict[str, object]) -> None:
    with pytest.raises(Refused, match="for how long"):
        next(KIND.start(work(shop), wrong))


# --- with real workers --------------------------------------------------------------------------------------


def _worker(site: Tuned) -> AbstractContextManager[Running]:
    url = f"shop=redis://bob:pw@127.0.0.1:{site.servers[0].port}"
    return running([*CACHEDECK, "worker"], environment(site.settings.data, CACHEDECK_CACHES=url))


def _again(site: Tuned, job: Job) -> Job:
    found = jobs.get(site.store, job.id)
    assert found
    return found


def test_a_worker_that_is_killed_leaves_a_deadline_at_which_the_next_one_switches_them_off(shop: Tuned) -> None:
    job = jobs.create(shop.store, "shop", NAME, given(60.0), "ada", "10.0.0.1", "")
    with _worker(shop) as worker:
        wait_until(lambda: flags(shop) == [NEEDED], "they are on")
        wait_until(lambda: snapshot(shop.store, _again(shop, job)) is not None, "it watches")
        os.kill(worker.pid, signal.SIGKILL)
        worker.end()
    (trial,) = trials.open_on(shop.store, ["shop"])
    assert trial.purpose == "events"
    assert flags(shop) == [NEEDED]
    shop.guard().look(trial.ends_at - 1)
    assert flags(shop) == [NEEDED]
    shop.guard().look(trial.ends_at + 1)
    assert flags(shop) == [frozenset()]
    assert shop.trial(trial.number).state == "reverted"


def test_what_a_worker_sees_can_be_read_while_it_watches_and_cancelling_switches_them_off(shop: Tuned) -> None:
    job = jobs.create(shop.store, "shop", NAME, given(600.0), "ada", "10.0.0.1", "")
    with _worker(shop):
        wait_until(lambda: snapshot(shop.store, _again(shop, job)) is not None, "it watches")
        stampede(shop.servers[0].client, "api:product:17", 30, lock=False)
        wait_until(lambda: counts(_again(shop, job)).get("alerts") == 1, "the alert is there")
        jobs.request_cancel(shop.store, job.id)
        wait_until(lambda: _again(shop, job).state == "cancelled", "it is cancelled")
        assert flags(shop) == [frozenset()]
