"""Whatever happens in whatever order: no read that begins after a change was acknowledged shows an older version.

Readers and writers of two processes stand still before every command to the cache and around everything that they ask
the database, and are let on in any order. Meanwhile entries and leases are evicted, grow old and are invalidated by
others, the cache goes away, patterns and preventions are exchanged. On a real server, against a model that is one
number: the newest version whose change was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dashboard.demo.caching.breaker import LONGEST_REST_SECONDS
from dashboard.demo.caching.reading import Prevention
from dashboard.demo.patterns import Answer, Changed, Pattern
from dashboard.demo.patterns.cache_aside import CacheAside
from dashboard.demo.patterns.read_through import ReadThrough
from dashboard.demo.patterns.write_through import WriteThrough
from dashboard.demo.prevention.mutex import WAIT_SECONDS, Mutex
from dashboard.demo.prevention.none import Unprevented
from dashboard.demo.prevention.revalidate import GRACE_SHARE, Revalidate
from dashboard.demo.prevention.xfetch import XFetch
from tests.demo.stepping import SteppedPool, Stepper, pause
from tests.demo.table import KEY, ROW, TTL, Cached, Clock, SlowTable, cached, slowly
from tests.servers import Server

LEASE = f"lease:{{{KEY}}}"
MOST_UNDER_WAY = 3
PREVENTIONS = ("none", "mutex", "xfetch", "revalidate")
PATTERNS = ("cache-aside", "write-through", "read-through")

WEATHER = (
    "evict",
    "evict lease",
    "evict both",
    "become stale",
    "invalidate",
    "run out of patience",
    "draw early",
    "draw late",
)

numbers = st.integers(0, 10**6)
rarely = st.integers(0, 4).map(lambda drawn: drawn == 4)


@dataclass(frozen=True)
class Reading:
    stepper: Stepper
    floor: int


class Shops(RuleBasedStateMachine):
    """Two processes of the shop over one cache; `server` is set where it is run."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client()
        self.client.flushall()
        self.table = SlowTable()
        self.clock, self.pool = Clock(), SteppedPool()
        self.draws = 0.0
        self.processes = [slowly(cached(self.server.url, Unprevented(), clock=self.clock)) for _ in range(2)]
        self.acknowledged = 1
        self.untold: list[int] = []
        self.readers: list[Reading] = []
        self.writers: list[Stepper] = []
        self.pattern = PATTERNS[0]

    def teardown(self) -> None:
        for reading in list(self.readers):
            self.judge(reading)
        for stepper in (*self.writers, *self.pool.steppers):
            stepper.finish()
        for process in self.processes:
            process.remote.close()
        self.client.close()

    def through(self, process: Cached) -> Pattern:
        made: dict[str, Pattern] = {
            "cache-aside": CacheAside(process.reader, process.entries, self.table),
            "write-through": WriteThrough(process.reader, process.entries, self.table),
            "read-through": ReadThrough(
                process.reader, process.entries, self.table, lambda _key: (self.table.loader(ROW), TTL)
            ),
        }
        return made[self.pattern]

    def judge(self, reading: Reading) -> None:
        answer: Answer = reading.stepper.finish()
        self.readers.remove(reading)
        assert answer.document is not None
        assert answer.document["version"] >= reading.floor, f"{answer} shows less than {reading.floor}"

    def settle(self, writer: Stepper) -> None:
        changed: Changed = writer.finish()
        self.writers.remove(writer)
        assert changed.version is not None
        if changed.told:
            self.acknowledged = max(self.acknowledged, changed.version)
        else:
            self.untold.append(changed.version)

    @rule(process=st.integers(0, 1))
    @precondition(lambda self: len(self.readers) < MOST_UNDER_WAY)
    def begin_to_read(self, process: int) -> None:
        pattern, floor = self.through(self.processes[process]), self.acknowledged
        self.readers.append(Reading(Stepper(lambda: pattern.get(KEY, self.table.loader(ROW), TTL)), floor))

    @rule(process=st.integers(0, 1))
    def read_at_once(self, process: int) -> None:
        pattern, floor = self.through(self.processes[process]), self.acknowledged
        reading = Reading(Stepper(lambda: pattern.get(KEY, self.table.loader(ROW), TTL)), floor)
        self.readers.append(reading)
        self.judge(reading)

    @rule(number=numbers, steps=st.integers(1, 3), away=rarely)
    @precondition(lambda self: self.readers)
    def let_a_reader_go_on(self, number: int, steps: int, away: bool) -> None:
        reading = self.readers[number % len(self.readers)]
        with self.outage(away):
            for _ in range(steps):
                if reading.stepper.is_over or not reading.stepper.step():
                    self.judge(reading)
                    return

    @rule(process=st.integers(0, 1))
    @precondition(lambda self: len(self.writers) < MOST_UNDER_WAY)
    def begin_to_write(self, process: int) -> None:
        pattern = self.through(self.processes[process])
        self.writers.append(Stepper(lambda: pattern.update(self.table.changing("Ghent"), TTL)))

    @rule(number=numbers, steps=st.integers(1, 6), away=rarely)
    @precondition(lambda self: self.writers)
    def let_a_writer_go_on(self, number: int, steps: int, away: bool) -> None:
        writer = self.writers[number % len(self.writers)]
        with self.outage(away):
            for _ in range(steps):
                if writer.is_over or not writer.step():
                    self.settle(writer)
                    return

    @rule(number=numbers)
    @precondition(lambda self: any(not one.is_over for one in self.pool.steppers))
    def let_a_background_refresh_go_on(self, number: int) -> None:
        under_way = [one for one in self.pool.steppers if not one.is_over]
        under_way[number % len(under_way)].step()

    @rule(what=st.sampled_from(WEATHER), process=st.integers(0, 1))
    def weather(self, what: str, process: int) -> None:
        """One rule of many kinds, so that most steps are those of readers and writers."""
        if what.startswith("evict"):
            self.client.delete(*{"evict": (KEY,), "evict lease": (LEASE,), "evict both": (KEY, LEASE)}[what])
        elif what == "become stale":
            self.client.pexpire(KEY, round(TTL * GRACE_SHARE * 900))
        elif what == "invalidate":
            self.through(self.processes[process]).forget([KEY])
        elif what == "run out of patience":
            self.clock.now += WAIT_SECONDS
        else:
            self.draws = 0.5 if what == "draw early" else 0.0

    @rule(process=st.integers(0, 1))
    @precondition(lambda self: self.untold)
    def relay(self, process: int) -> None:
        """What the cache could not be told of, the relay tells of in the order of the database, as soon as it can."""
        for version in sorted(self.untold):
            self.processes[process].entries.outdate([(KEY, version)])
        self.acknowledged = max(self.acknowledged, *self.untold)
        self.untold.clear()

    @contextmanager
    def outage(self, away: bool) -> Iterator[None]:
        for process in self.processes if away else ():
            process.remote.cut(1e9)
        yield
        for process in self.processes if away else ():
            process.remote.cut(0)
            self.clock.now += LONGEST_REST_SECONDS

    @invariant()
    def nothing_older_than_what_was_acknowledged_lies_in_the_cache(self) -> None:
        version = self.client.hget(KEY, "version")
        assert version is None or int(version) >= self.acknowledged, f"{version!r} is less than {self.acknowledged}"

    @rule()
    def run_out_of_patience(self) -> None:
        self.clock.now += WAIT_SECONDS

    @initialize(pattern=st.sampled_from(PATTERNS), preventions=st.tuples(*[st.sampled_from(PREVENTIONS)] * 2))
    def begin(self, pattern: str, preventions: tuple[str, str]) -> None:
        self.pattern = pattern
        for process, prevention in zip(self.processes, preventions, strict=True):
            process.reader.prevention = self.made(prevention)

    @rule(really=rarely, pattern=st.sampled_from(PATTERNS), preventions=st.tuples(*[st.sampled_from(PREVENTIONS)] * 2))
    def turn(self, really: bool, pattern: str, preventions: tuple[str, str]) -> None:
        if really:
            self.begin(pattern, preventions)

    def made(self, prevention: str) -> Prevention:
        mutex = Mutex(clock=self.clock, sleep=self.sleep)
        return {
            "none": Unprevented(),
            "mutex": mutex,
            # A large beta, so that a load of a few microseconds counts as one that took as long as the entry lives.
            "xfetch": XFetch(beta=1e9, random=lambda: self.draws),
            "revalidate": Revalidate(mutex, self.pool),
        }[prevention]

    def sleep(self, seconds: float) -> None:
        pause()
        self.clock.now += seconds


def test_no_read_that_begins_after_a_change_was_acknowledged_shows_an_older_version(valkey: Server) -> None:
    machine = type("ShopsOfThisTest", (Shops,), {"server": valkey})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=120,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
