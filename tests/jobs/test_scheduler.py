"""Schedules are carried out: by their plan, once each, in time or not at all, and they say so when they are not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs import invalidating, worker
from dashboard.jobs.invalidating import Caller, Standing
from dashboard.jobs.pool import Pool
from dashboard.jobs.scheduler import LATE_SECONDS, NOTHING, TAKEN_SECONDS, Scheduler
from dashboard.settings import Settings
from dashboard.store import audit, invalidations, jobs, schedules
from dashboard.store.audit import Filters
from dashboard.store.engine import Store, open_store
from dashboard.store.schedules import Draft, Schedule
from tests.programs import wait_until
from tests.servers import Server

TASK = {"pattern": "user:*"}
EVERY_HOUR = "0 * * * *"
KEYS = 30


class Site:
    """A store, a cache with some keys, and schedulers that are told what time it is."""

    def __init__(self, store: Store, settings: Settings, server: Server, **options: str) -> None:
        target = parse_target(f"main={server.url}" + "".join(f"?{name}={value}" for name, value in options.items()))
        self.store, self.settings, self.server = store, settings, server
        self.caches = {"main": Cache(target)}
        self.scheduler = self.another()
        self.pool = Pool(store, self.caches, settings)

    def another(self) -> Scheduler:
        return Scheduler(self.store, self.caches, self.settings)

    def add(self, at: float, cron: str = "", task: dict[str, str] | None = None) -> int:
        draft = Draft("main", task or TASK, cron, at, "otto", "10.0.0.1", "nightly")
        return schedules.create(self.store, draft).id

    def get(self, number: int) -> Schedule:
        found = schedules.get(self.store, number)
        assert found
        return found

    def standing(self, number: int) -> Standing:
        made = self.get(number).last_invalidation
        assert made is not None
        found = invalidating.current(self.store, self.settings, made)
        assert found
        return found

    def until(self, number: int, state: str, now: float) -> Standing:
        """Look again and again until what came of a schedule is in a state."""

        def is_so() -> bool:
            self.scheduler.look(now)
            return self.get(number).last_invalidation is not None and self.standing(number).state == state

        wait_until(is_so, f"schedule {number} came to {state}")
        return self.standing(number)

    def until_given_up(self, number: int, now: float) -> str:
        def has_error() -> bool:
            self.scheduler.look(now)
            return bool(self.get(number).last_error)

        wait_until(has_error, f"schedule {number} was given up")
        return self.get(number).last_error

    def left(self) -> int:
        with self.server.client() as client:
            return sum(1 for _ in client.scan_iter("user:*"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = open_store(settings.database)
    yield store
    store.close()


@pytest.fixture
def site(store: Store, settings: Settings, valkey: Server) -> Iterator[Site]:
    """With a pool that runs its jobs."""
    site = Site(store, settings, valkey)
    with valkey.client() as client:
        client.mset({f"user:{number}": "x" for number in range(KEYS)} | {"other": "y"})
    site.pool.start()
    yield site
    site.pool.ask_to_stop()
    site.pool.finish(10)
    for cache in site.caches.values():
        cache.close()


def test_what_is_due_is_planned_and_carried_out(site: Site) -> None:
    now = time.time()
    number = site.add(now - 1)
    standing = site.until(number, "done", now)
    assert standing.done
    assert (standing.done.counts.removed, site.left()) == (KEYS, 0)
    assert standing.plan is not None
    assert (site.get(number).over, site.get(number).last_error) == (True, "")
    with site.server.client() as client:
        assert client.exists("other")


def test_it_can_be_taken_back(site: Site) -> None:
    now = time.time()
    standing = site.until(site.add(now), "done", now)
    caller = Caller("ada", "10.0.0.2", "page")
    invalidating.undo_now(site.store, site.settings, site.caches["main"], standing.invalidation.number, caller)
    assert site.left() == KEYS


def test_what_is_not_due_yet_waits(site: Site) -> None:
    now = time.time()
    number = site.add(now + 60)
    site.scheduler.look(now)
    assert site.get(number).last_at is None
    assert invalidations.newest(site.store, "main", 10) == []


def test_it_is_done_in_the_name_of_who_made_the_schedule_and_audited(site: Site) -> None:
    now = time.time()
    number = site.add(now)
    standing = site.until(number, "done", now)
    made = standing.invalidation
    assert (made.actor, made.address, made.source, made.reason) == ("otto", f"schedule {number}", "schedule", "nightly")
    trail = audit.search(site.store, Filters(actor="otto"))
    assert {entry.address for entry in trail} == {f"schedule {number}"}
    assert {"invalidate.plan.start", "invalidate.execute", "keys.invalidate"} <= {entry.action for entry in trail}
    assert all(entry.status == "done" for entry in trail)


def test_a_repeated_one_goes_on(site: Site) -> None:
    now = time.time()
    number = site.add(now, EVERY_HOUR)
    first = site.until(number, "done", now)
    assert site.get(number).next_at == (now // 3600 + 1) * 3600
    site.server.client().set("user:1", "again")
    later = site.get(number).next_at or 0
    wait_until(lambda: site.scheduler.look(later) or site.left() == 0, "the second time")
    assert site.standing(number).invalidation.number > first.invalidation.number
    assert site.get(number).next_at == later + 3600


def test_a_clock_that_ran_ahead_puts_nothing_off_for_years(site: Site) -> None:
    now = time.time()
    number, once = site.add(now, EVERY_HOUR), site.add(now + 90 * 86400)
    site.scheduler.look(now + 40 * 365 * 86400)
    assert site.get(number).next_at > now + 39 * 365 * 86400  # type: ignore[operator]
    site.another().look(now)
    assert now < site.get(number).next_at <= now + 3600  # type: ignore[operator]
    assert site.get(once).next_at is None  # it was missed, and says so
    before = site.get(number)
    site.another().look(now + 1)
    assert site.get(number) == before


def test_two_workers_do_it_once(site: Site) -> None:
    now = time.time()
    numbers = [site.add(now) for _ in range(5)]
    workers = [site.another() for _ in range(3)]
    stop = threading.Event()

    def follow(scheduler: Scheduler) -> None:
        while not stop.is_set():
            scheduler.look(now)

    threads = [threading.Thread(target=follow, args=(scheduler,)) for scheduler in workers]
    for thread in threads:
        thread.start()
    try:
        wait_until(
            lambda: all(one.over and (one.last_invalidation or one.last_error) for one in map(site.get, numbers)),
            "all were taken",
        )
        wait_until(lambda: not jobs.running(site.store, "main"), "all have ended")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(invalidations.newest(site.store, "main", 50)) == len(numbers)


@pytest.mark.parametrize(("cron", "over"), [("", True), (EVERY_HOUR, False)])
def test_what_is_an_hour_late_is_not_done_and_says_so(cron: str, over: bool, site: Site) -> None:
    now = time.time()
    number = site.add(now - LATE_SECONDS - 1, cron)
    site.scheduler.look(now)
    assert site.get(number).last_error.startswith("Not done: it was due at ")
    assert (site.get(number).last_invalidation, site.get(number).over, site.left()) == (None, over, KEYS)
    in_time = site.add(now - LATE_SECONDS + 60)
    site.until(in_time, "done", now)


def test_nothing_to_do_is_said(site: Site) -> None:
    now = time.time()
    number = site.add(now, task={"pattern": "none:*"})
    assert site.until_given_up(number, now) == NOTHING


def test_a_large_one_waits_for_the_approval_of_somebody_else(store: Store, tmp_path: Path, site: Site) -> None:
    site.settings = Settings(data=tmp_path, approve_keys=10)
    site.scheduler = site.another()
    now = time.time()
    number = site.add(now)
    standing = site.until(number, "waits for approval", now)
    site.scheduler.look(now)
    assert site.left() == KEYS
    invalidating.approve(
        store, site.settings, site.caches["main"], standing.invalidation.number, Caller("ada", "10.0.0.2", "page")
    )
    site.until(number, "done", now)
    assert site.left() == 0


def test_what_nobody_approved_in_time_is_given_up(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.jobs.invalidation_standing.GOOD_SECONDS", 0.0)
    site.settings = Settings(data=tmp_path, approve_keys=10)
    site.scheduler = site.another()
    now = time.time()
    assert "Nobody approved plan " in site.until_given_up(site.add(now), now)
    assert site.left() == KEYS


def test_a_read_only_cache_is_left_alone(store: Store, settings: Settings, site: Site) -> None:
    read_only = Site(store, settings, site.server, read_only="yes")
    now = time.time()
    number = site.add(now)
    site.scheduler = read_only.scheduler
    assert "read-only" in site.until_given_up(number, now)
    assert site.left() == KEYS
    read_only.caches["main"].close()


def test_two_that_overlap_are_not_done_at_once(site: Site) -> None:
    now = time.time()
    slow = site.add(now, task={"pattern": "user:*", "mode": "paced", "rate": "1"})
    site.until(slow, "running", now)
    second = site.add(now, task={"pattern": "user:1*"})
    assert "works on keys that this one may select too" in site.until_given_up(second, now)


def test_what_is_disabled_before_its_plan_is_ready_is_not_carried_out(site: Site) -> None:
    now = time.time()
    site.pool.ask_to_stop()
    site.pool.finish(10)
    number = site.add(now, EVERY_HOUR)
    site.scheduler.look(now)
    schedules.disable(site.store, number)
    site.pool = Pool(site.store, site.caches, site.settings)
    site.pool.start()
    assert "It was disabled before plan " in site.until_given_up(number, now)
    schedules.enable(site.store, number, now + 3600)
    site.scheduler.look(now)
    assert (site.standing(number).run_job, site.left()) == (None, KEYS)


def test_what_is_removed_before_its_plan_is_ready_is_not_carried_out(site: Site) -> None:
    now = time.time()
    number = site.add(now)
    site.scheduler.look(now)
    made = site.get(number).last_invalidation
    assert made
    schedules.remove(site.store, number)

    def is_planned() -> bool:
        site.scheduler.look(now)
        found = invalidating.current(site.store, site.settings, made)
        return found is not None and found.state == "planned"

    wait_until(is_planned, "the plan is ready")
    site.scheduler.look(now)
    assert site.left() == KEYS


def test_what_a_killed_worker_took_is_planned_by_another(site: Site) -> None:
    now = time.time()
    number = site.add(now)
    assert schedules.take(site.store, site.get(number), now, None)  # and here it was killed
    site.scheduler.look(now + TAKEN_SECONDS - 1)
    assert site.get(number).last_invalidation is None
    site.until(number, "done", now + TAKEN_SECONDS + 1)
    late = site.add(now)
    assert schedules.take(site.store, site.get(late), now, None)
    site.scheduler.look(now + LATE_SECONDS + 1)
    assert "too late" in site.get(late).last_error


def test_a_plan_that_was_interrupted_is_made_again(site: Site) -> None:
    now = time.time()
    site.pool.ask_to_stop()
    site.pool.finish(10)
    number = site.add(now)
    site.scheduler.look(now)
    first = site.standing(number)
    job = jobs.claim(site.store, "another", ["main"])
    assert job
    jobs.end(site.store, job.id, "another", "interrupted", "The worker was stopped.")
    site.pool = Pool(site.store, site.caches, site.settings)
    site.pool.start()
    done = site.until(number, "done", now)
    assert done.invalidation.number > first.invalidation.number


@pytest.mark.parametrize("task", [{"pattern": "a", "mode": "by magic"}, {"pattern": ""}, {"pattern": "a", "ttl": "x"}])
def test_a_task_that_this_version_cannot_read_is_given_up(task: dict[str, str], site: Site) -> None:
    now = time.time()
    number = site.add(now, task=task)
    assert "Another version of Cachedeck" in site.until_given_up(number, now)


def test_a_defect_in_one_holds_up_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    broken, well = site.add(now - 5, task={"pattern": "broken"}), site.add(now)
    really = invalidating.make_plan

    def defective(*args: object, **more: object) -> object:
        if args[3].selection.pattern == b"broken":  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return really(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(invalidating, "make_plan", defective)
    site.until(well, "done", now)
    assert "the worker's log" in site.get(broken).last_error


def test_the_worker_carries_out_what_is_due(store: Store, tmp_path: Path, valkey: Server) -> None:
    with valkey.client() as client:
        client.set("user:1", "x")
        chosen = Settings(data=tmp_path, caches=f"main={valkey.url}")  # type: ignore[arg-type]
        draft = Draft("main", TASK, EVERY_HOUR, time.time() - 1, "otto", "10.0.0.1", "")
        number = schedules.create(store, draft).id
        stop = threading.Event()
        running = threading.Thread(target=worker.run, args=(chosen, stop))
        running.start()
        try:
            wait_until(lambda: not client.exists("user:1"), "the key is gone")
        finally:
            stop.set()
            running.join(120)
        found = schedules.get(store, number)
        assert found
        assert found.last_invalidation is not None
