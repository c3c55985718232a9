"""The kind "eviction_trace": notifications are on while it measures, and as they were afterwards, whatever happens."""

from __future__ import annotations

import contextlib
import heapq
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

import pytest

from dashboard.cache.eviction.regret import Trace
from dashboard.jobs import trying
from dashboard.jobs.eviction_trace_job import KIND, NAME, arguments
from dashboard.jobs.kind import Refused, Work
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.results import snapshot, text_of
from dashboard.store import jobs, trials
from dashboard.store.operators import Role
from tests.jobs.tuned import Tuned, tuned
from tests.programs import CACHEDECK, Running, environment, running, wait_until
from tests.servers import Cluster, Server, start

SETTING = "notify-keyspace-events"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Tuned]:
    server = start("--maxmemory", "6mb", "--maxmemory-policy", "allkeys-lru")
    try:
        with tuned(tmp_path, server.url, [server]) as found:
            yield found
    finally:
        server.stop()


def work(site: Tuned) -> Work:
    return Work(site.cache, site.settings, site.store)


def given(seconds: float = 2.0, followed: float = 1.0) -> dict[str, object]:
    return arguments(seconds, "ada", "10.0.0.1", followed)


def flags(site: Tuned) -> list[frozenset[str]]:
    return [frozenset(one) for one in site.values(SETTING)]


def press(server: Server, keys: int = 3000) -> None:
    """Write so much that keys are evicted."""
    with contextlib.closing(server.client()) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(keys):
            pipe.set(f"key:{time.monotonic_ns()}:{number}", "x" * 4000)
        pipe.execute()


def test_it_is_for_admins_and_says_that_it_changes_the_cache() -> None:
    assert KINDS[NAME] is KIND
    assert KIND.role is Role.ADMIN
    assert KIND.changes
    assert not KIND.again


def test_notifications_are_on_while_it_measures_and_as_they_were_afterwards(shop: Tuned) -> None:
    shop.set(SETTING, "Kx")
    seen: list[frozenset[str]] = []
    last: Trace | None = None
    for trace in KIND.start(work(shop), given()):
        assert isinstance(trace, Trace)
        if not seen:
            press(shop.servers[0])
        seen.append(flags(shop)[0])
        last = trace
    assert seen[0] == frozenset("KxEem")
    assert flags(shop) == [frozenset("Kx")]
    assert last is not None
    assert last.progress.ended
    assert last.regret.evictions > 100
    assert last.trial is not None
    assert shop.trial(last.trial).state == "reverted"
    assert [entry.status for entry in (*shop.audited("events.on"), *shop.audited("events.off"))] == ["done", "done"]
    assert KIND.adapter.validate_json(text_of(KIND, last)) == last


def test_where_they_are_on_already_nothing_is_changed(shop: Tuned) -> None:
    shop.set(SETTING, "AKEm")
    before = shop.values(SETTING)
    *_, last = KIND.start(work(shop), given(1.0, 0.5))
    assert isinstance(last, Trace)
    assert last.trial is None
    assert shop.values(SETTING) == before
    assert shop.audited("events.on") == []


def test_cancelled_it_gives_back_what_was_there(shop: Tuned) -> None:
    snapshots = KIND.start(work(shop), given(60.0, 60.0))
    next(snapshots)
    assert flags(shop) == [frozenset("Eem")]
    snapshots.close()  # type: ignore[attr-defined]
    assert flags(shop) == [frozenset()]
    assert trials.open_on(shop.store, ["shop"]) == []


def test_where_listening_is_denied_nothing_is_changed_and_the_command_is_named(shop: Tuned) -> None:
    shop.forbid(shop.servers[0], "-subscribe")
    with pytest.raises(Exception, match="SUBSCRIBE"):
        list(KIND.start(work(shop), given()))
    assert flags(shop) == [frozenset()]
    assert trials.open_on(shop.store, ["shop"]) == []


@pytest.mark.parametrize("right", ["-config|get", "-config|set"])
def test_where_settings_are_denied_it_says_so_and_how_it_is_done_there(shop: Tuned, right: str) -> None:
    shop.forbid(shop.servers[0], right)
    with pytest.raises(Refused, match=r"CONFIG|cannot be read") as refused:
        list(KIND.start(work(shop), given()))
    assert refused.value.advice
    assert flags(shop) == [frozenset()]


def test_where_they_cannot_be_read_they_are_taken_for_granted_by_who_says_that_they_are_on(shop: Tuned) -> None:
    shop.set(SETTING, "Eem")
    shop.forbid(shop.servers[0], "-config|get", "-config|set")
    snapshots = KIND.start(work(shop), {**given(), "on": True})
    next(snapshots)
    press(shop.servers[0])
    *_, last = snapshots
    assert isinstance(last, Trace)
    assert last.regret.evictions > 100
    assert last.trial is None
    assert "taken for granted" in last.notes[0]
    assert flags(shop) == [frozenset("Eem")]


def test_where_they_can_be_read_nobodys_word_is_taken_for_it(shop: Tuned) -> None:
    snapshots = KIND.start(work(shop), {**given(), "on": True})
    next(snapshots)
    assert flags(shop) == [frozenset("Eem")]
    snapshots.close()  # type: ignore[attr-defined]
    assert flags(shop) == [frozenset()]


def test_a_cluster_is_listened_to_on_every_primary(cluster: Cluster, tmp_path: Path) -> None:
    with tuned(tmp_path, cluster.url, cluster.servers) as site:
        snapshots = KIND.start(work(site), given(2.0, 1.0))
        next(snapshots)
        assert flags(site) == [frozenset("Eem")] * 3
        with contextlib.closing(cluster.client()) as client:
            for number in range(300):
                client.get(f"missing:{number}")
        *_, last = snapshots
        assert flags(site) == [frozenset()] * 3
    assert isinstance(last, Trace)
    assert last.misses == 300
    assert last.gaps == ()


@pytest.mark.parametrize(("most", "share"), [(50_000, 0.3), (50_000, 0.05), (1000, 0.6)])
def test_a_planted_regret_is_measured_within_a_tenth_of_the_truth(
    shop: Tuned, most: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of the keys that the server really evicts are asked for again; with a small `most`, only a part of
    the evictions is followed."""
    from dashboard.jobs import eviction_trace_job

    made = eviction_trace_job.Options
    monkeypatch.setattr(eviction_trace_job, "Options", lambda *given: made(*given, most=most))
    snapshots = KIND.start(work(shop), given(6.0, 3.0))
    next(snapshots)
    stop = threading.Event()
    truth = _Truth(shop.servers[0], share, stop)
    try:
        *_, last = snapshots
    finally:
        stop.set()
        truth.join()
    assert isinstance(last, Trace)
    assert truth.evicted > 1500
    assert last.regret.one_in > 1 if most == 1000 else last.regret.one_in == 1
    assert last.regret.share.value == pytest.approx(truth.share, rel=0.1)
    assert last.unheard == 0


class _Truth:
    """Presses the server, and asks for a share of what it evicts again within 1.5 s, by its own ears."""

    def __init__(self, server: Server, share: float, stop: threading.Event) -> None:
        self.evicted = self.asked = 0
        self._server, self._wanted, self._stop = server, share, stop
        self._threads = [threading.Thread(target=one) for one in (self._write, self._ask)]
        for thread in self._threads:
            thread.start()

    @property
    def share(self) -> float:
        return self.asked / self.evicted

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        number, ends = 0, time.monotonic() + 5.0
        with contextlib.closing(self._server.client()) as client:
            while time.monotonic() < ends and not self._stop.is_set():
                pipe = client.pipeline(transaction=False)
                for _ in range(80):
                    number += 1
                    pipe.set(f"key:{number}", "x" * 1000)
                pipe.execute()
                self._stop.wait(0.02)

    def _ask(self) -> None:
        chance, due = Random(11), list[tuple[float, bytes]]()
        with contextlib.closing(self._server.client()) as client, contextlib.closing(client.pubsub()) as ear:
            ear.subscribe("__keyevent@0__:evicted")
            while not self._stop.is_set():
                message = ear.get_message(timeout=0.01)
                now = time.monotonic()
                if message and message["type"] == "message":
                    self.evicted += 1
                    if chance.random() < self._wanted:
                        heapq.heappush(due, (now + chance.uniform(0.1, 1.5), message["data"]))
                ready = []
                while due and due[0][0] <= now:
                    ready.append(heapq.heappop(due)[1])
                if ready:
                    pipe = client.pipeline(transaction=False)
                    for key in ready:
                        pipe.get(key)
                    pipe.execute()
                    self.asked += len(ready)


# --- with real workers --------------------------------------------------------------------------------------


def _worker(site: Tuned) -> AbstractContextManager[Running]:
    url = f"shop=redis://bob:pw@127.0.0.1:{site.servers[0].port}"
    return running([*CACHEDECK, "worker"], environment(site.settings.data, CACHEDECK_CACHES=url))


def test_a_worker_that_is_killed_leaves_a_deadline_at_which_the_next_one_switches_them_off(shop: Tuned) -> None:
    job = jobs.create(shop.store, "shop", NAME, given(60.0, 1.0), "ada", "10.0.0.1", "")
    with _worker(shop) as worker:
        wait_until(lambda: flags(shop) == [frozenset("Eem")], "they are on")
        wait_until(lambda: snapshot(shop.store, jobs.get(shop.store, job.id) or job) is not None, "it measures")
        os.kill(worker.pid, signal.SIGKILL)
        worker.end()
    (trial,) = trials.open_on(shop.store, ["shop"])
    assert flags(shop) == [frozenset("Eem")]
    # The deadline is in the store; what is overdue at a worker's start is taken back at once.
    shop.guard().look(trial.ends_at - 1)
    assert flags(shop) == [frozenset("Eem")]
    shop.guard().look(trial.ends_at + 1)
    assert flags(shop) == [frozenset()]
    assert shop.trial(trial.number).state == "reverted"


def test_a_job_that_is_cancelled_while_a_worker_runs_it_is_given_back(shop: Tuned) -> None:
    job = jobs.create(shop.store, "shop", NAME, given(60.0, 60.0), "ada", "10.0.0.1", "")
    with _worker(shop):
        wait_until(lambda: flags(shop) == [frozenset("Eem")], "they are on")
        jobs.request_cancel(shop.store, job.id)
        wait_until(lambda: (jobs.get(shop.store, job.id) or job).state == "cancelled", "it is cancelled")
        assert flags(shop) == [frozenset()]


def test_what_a_killed_worker_left_on_is_switched_off_before_the_next_measurement(shop: Tuned) -> None:
    snapshots = KIND.start(work(shop), given(60.0, 60.0))
    next(snapshots)
    (left,) = trials.open_on(shop.store, ["shop"])
    again = KIND.start(work(shop), given(1.0, 0.5))
    first = next(again)
    assert isinstance(first, Trace)
    assert first.trial not in (None, left.number)
    assert not shop.trial(left.number).open
    list(again)
    assert flags(shop) == [frozenset()]
    snapshots.close()  # type: ignore[attr-defined]
    with pytest.raises(trying.HasEnded):
        trying.end(shop.store, shop.settings, shop.cache, left.number, trying.Caller("ada", "", "page"))


@pytest.mark.parametrize("wrong", [{}, {"seconds": 0}, {"seconds": -1}, {"seconds": 1e9}, {"seconds": "nan"}])
def test_arguments_without_a_sensible_length_are_refused(shop: Tuned, wrong: dict[str, object]) -> None:
    with pytest.raises(Refused, match="for how long"):
        next(KIND.start(work(shop), wrong))
