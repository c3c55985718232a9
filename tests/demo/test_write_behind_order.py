"""Write-behind in any order of everything: no read shows less than what was acknowledged, and in the end all is stored.

Readers, writers and flushers of two processes stand still before every command to the cache and around everything that
they ask the database, and are let on in any order, or never again. Meanwhile entries and leases are evicted, others
change the row, the cache goes away for one process or both, the queue is full, the database is away. On a real server.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy.exc as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from dashboard.demo import flusher as flusher_module
from dashboard.demo.caching.breaker import LONGEST_REST_SECONDS
from dashboard.demo.flusher import Flusher
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.patterns import Changed
from dashboard.demo.patterns import write_behind as pattern_module
from dashboard.demo.patterns.write_behind import WriteBehind
from dashboard.demo.prevention.mutex import Mutex
from dashboard.demo.prevention.none import Unprevented
from tests.demo.stepping import Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Clock, Table, cached
from tests.servers import Server

KEYS = Keyspace()
JUMP = 10**9
STEP = 1000
MOST_UNDER_WAY = 3
WEATHER = ("evict", "evict lease", "evict both", "others change the row", "invalidate")
AWAY = ("nobody", "nobody", "nobody", "both", "first", "second", "database", "full")


class SlowRows(Table):
    """The database; `away` is whether it answers those who write to it."""

    away = False

    def load(self, row: int | str = ROW) -> dict[str, Any] | None:
        pause()
        return super().load(row)

    def apply(self, _kind: str, row: int | str, values: Mapping[str, Any], version: int) -> str:
        pause()
        if self.away:
            raise sa.OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))
        with self.lock:
            is_older = self.rows[row]["version"] < version
            if is_older:
                self.rows[row] = {**self.rows[row], **values, "version": version}
        pause()
        return "applied" if is_older else "known"

    def jump(self, _kind: str, row: int | str, values: Mapping[str, Any]) -> int:
        pause()
        with self.lock:
            self.rows[row] = {**self.rows[row], **values, "version": self.rows[row]["version"] + JUMP}
            version = int(self.rows[row]["version"])
        pause()
        return version

    def versions(self, names: list[tuple[str, int | str]]) -> dict[tuple[str, int | str], int]:
        return {(kind, row): int(self.rows[row]["version"]) for kind, row in names}

    def add_post(self) -> int:
        """Something else of the row changes, which raises its version as well."""
        with self.lock:
            row = self.rows[ROW]
            self.rows[ROW] = {**row, "posts": row["posts"] + 1, "version": row["version"] + 1}
            return int(self.rows[ROW]["posts"])


class Process:
    def __init__(self, url: str, rows: SlowRows, clock: Clock, name: str) -> None:
        cache = cached(url, Unprevented(), clock=clock)
        self.remote, self.entries = cache.remote, cache.entries
        ask: Callable[..., Any] = self.remote.ask

        def stand_still_and_ask(question: Callable[..., Any]) -> Any:
            pause()
            return ask(question)

        self.remote.ask = stand_still_and_ask  # type: ignore[method-assign]
        self.reader = cache.reader
        self.pattern = WriteBehind(self.reader, self.entries, self.remote, KEYS, rows, cache.counters)  # type: ignore[arg-type]
        self.flusher = Flusher(self.remote, KEYS, rows, cache.counters, consumer=name, claim_after=0.0)  # type: ignore[arg-type]


class Shops(RuleBasedStateMachine):
    """`server` is set where it is run. A city is the number of the change that set it."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client()
        self.client.flushall()
        self.rows = SlowRows(rows={ROW: {"city": "0", "posts": 0, "version": 1}})
        self.clock = Clock()
        self.processes = [Process(self.server.url, self.rows, self.clock, name) for name in ("first", "second")]
        self.versions = {"0": 1}  # by city, of the changes that were acknowledged
        self.changes = 0
        self.acknowledged, self.posts = 1, 0
        self.untold: list[int] = []
        self.readers: list[tuple[Stepper, int, int]] = []
        self.writers: list[tuple[Stepper, str]] = []
        self.flushers: list[Stepper] = []

    def teardown(self) -> None:
        for reading in list(self.readers):
            self.judge(reading)
        for writing in list(self.writers):
            self.settle(writing)
        assert self.processes[0].flusher.drain(60) == 0
        newest = max(self.versions, key=lambda city: self.versions[city])
        stored = self.rows.rows[ROW]
        assert (stored["city"], stored["posts"]) == (newest, self.rows.rows[ROW]["posts"]), self.versions
        for process in self.processes:
            process.remote.close()
        self.client.close()

    def judge(self, reading: tuple[Stepper, int, int]) -> None:
        stepper, floor, posts = reading
        answer = stepper.finish()
        self.readers.remove(reading)
        if answer.source == "bypass":
            return  # for whom the cache is away, what is queued there is away as well
        # A change that is not acknowledged yet may be shown or not.
        version = self.versions.get(answer.document["city"], floor)
        assert version >= floor, f"{answer} shows less than {floor}: {self.versions}"
        assert answer.document["posts"] >= posts, f"{answer} shows less than {posts} posts"

    def settle(self, writing: tuple[Stepper, str]) -> None:
        stepper, city = writing
        changed: Changed = stepper.finish()
        self.writers.remove(writing)
        assert changed.version is not None
        self.versions[city] = changed.version
        if changed.told:
            self.acknowledged = max(self.acknowledged, changed.version)
        else:
            self.untold.append(changed.version)

    @rule(process=st.integers(0, 1))
    @precondition(lambda self: len(self.readers) < MOST_UNDER_WAY)
    def begin_to_read(self, process: int) -> None:
        pattern = self.processes[process].pattern
        stepper = Stepper(lambda: pattern.get(KEY, self.rows.loader(ROW), TTL))
        self.readers.append((stepper, self.acknowledged, self.posts))

    @rule(process=st.integers(0, 1))
    def read_at_once(self, process: int) -> None:
        pattern = self.processes[process].pattern
        stepper = Stepper(lambda: pattern.get(KEY, self.rows.loader(ROW), TTL))
        self.readers.append((stepper, self.acknowledged, self.posts))
        self.judge(self.readers[-1])

    @rule(process=st.integers(0, 1))
    @precondition(lambda self: len(self.writers) < MOST_UNDER_WAY)
    def begin_to_write(self, process: int) -> None:
        self.changes += 1
        pattern, city = self.processes[process].pattern, str(self.changes)
        self.writers.append((Stepper(lambda: pattern.update(self.rows.changing(city), TTL)), city))

    @rule(process=st.integers(0, 1))
    @precondition(lambda self: len(self.flushers) < MOST_UNDER_WAY)
    def begin_to_flush(self, process: int) -> None:
        flusher = self.processes[process].flusher
        self.flushers.append(Stepper(flusher._flush))

    @rule(number=st.integers(0, 99), steps=st.integers(1, 6), away=st.sampled_from(AWAY))
    @precondition(lambda self: self.readers)
    def let_a_reader_go_on(self, number: int, steps: int, away: str) -> None:
        reading = self.readers[number % len(self.readers)]
        if self.goes_on(reading[0], steps, away):
            self.judge(reading)

    @rule(number=st.integers(0, 99), steps=st.integers(1, 6), away=st.sampled_from(AWAY))
    @precondition(lambda self: self.writers)
    def let_a_writer_go_on(self, number: int, steps: int, away: str) -> None:
        writing = self.writers[number % len(self.writers)]
        if self.goes_on(writing[0], steps, away):
            self.settle(writing)

    @rule(number=st.integers(0, 99), steps=st.integers(1, 12), away=st.sampled_from(AWAY))
    @precondition(lambda self: self.flushers)
    def let_a_flusher_go_on(self, number: int, steps: int, away: str) -> None:
        stepper = self.flushers[number % len(self.flushers)]
        if self.goes_on(stepper, steps, away):
            self.flushers.remove(stepper)

    @rule(number=st.integers(0, 99))
    @precondition(lambda self: self.flushers)
    def kill_a_flusher(self, number: int) -> None:
        """It stands still for ever."""
        del self.flushers[number % len(self.flushers)]

    @rule(what=st.sampled_from(WEATHER), process=st.integers(0, 1))
    def weather(self, what: str, process: int) -> None:
        lease = KEYS.lease(KEY)
        if what.startswith("evict"):
            self.client.delete(*{"evict": (KEY,), "evict lease": (lease,), "evict both": (KEY, lease)}[what])
        elif what == "invalidate":
            self.processes[process].pattern.forget([KEY])
        else:
            posts = self.rows.add_post()
            assert self.processes[process].pattern.forget([KEY])
            self.posts = posts

    @rule(process=st.integers(0, 1))
    @precondition(lambda self: self.untold)
    def relay(self, process: int) -> None:
        self.processes[process].entries.outdate([(KEY, version) for version in sorted(self.untold)])
        self.acknowledged = max(self.acknowledged, *self.untold)
        self.untold.clear()

    @rule(process=st.integers(0, 1), waits=st.booleans())
    def turn(self, process: int, waits: bool) -> None:
        mutex = Mutex(clock=self.clock, sleep=self.sleep)
        self.processes[process].reader.prevention = mutex if waits else Unprevented()

    def sleep(self, seconds: float) -> None:
        pause()
        self.clock.now += seconds

    def goes_on(self, stepper: Stepper, steps: int, away: str) -> bool:
        """Whether it has come to its end."""
        with self.outage(away):
            for _ in range(steps):
                if stepper.is_over or not stepper.step():
                    return True
        return False

    @contextmanager
    def outage(self, away: str) -> Iterator[None]:
        cut = {"both": self.processes, "first": self.processes[:1], "second": self.processes[1:]}.get(away, [])
        self.rows.away = away == "database"
        before, pattern_module.MOST_QUEUED = pattern_module.MOST_QUEUED, 0 if away == "full" else 10**6
        for process in cut:
            process.remote.cut(1e9)
        yield
        self.rows.away, pattern_module.MOST_QUEUED = False, before
        for process in cut:
            process.remote.cut(0)
            self.clock.now += LONGEST_REST_SECONDS


def test_no_read_shows_less_than_was_acknowledged_and_in_the_end_all_is_stored(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "dashboard.demo")
    monkeypatch.setattr(pattern_module, "VERSION_STEP", STEP)
    monkeypatch.setattr(flusher_module, "OVERTAKEN_BY", JUMP // 2)
    machine = type("ShopsOfThisTest", (Shops,), {"server": valkey})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=[Phase.generate],  # making a failure smaller takes minutes, as each try has threads and a server
        ),
    )
