"""What findings are told besides samples: open trials, the last analysis, how long commands take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.cache.findings.rules import BY_ID, findings
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.stampedes.report import Stampedes
from dashboard.jobs import analysis_job, knowing, latency, seeing
from dashboard.jobs.pool import Pool
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import jobs, trials
from dashboard.store.engine import Store, open_store
from dashboard.store.setting_changes import Asked
from dashboard.store.trials import Draft
from tests.kept import WATCHED, keep_watch
from tests.programs import wait_until
from tests.servers import Server, running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{tmp_path / 'c.db'}")) as opened:
        yield opened


def rules(store: Store, now: float | None = None) -> dict[str, str]:
    """rule -> sentence of what is said of a cache without samples."""
    now = time.time() if now is None else now
    seen = knowing.with_known(store, "main", seeing.gather(store, "main", now, 2.0))
    return {one.rule: one.sentence for one in findings(seen)}


def trial(store: Store, seconds: float = 60) -> trials.Trial:
    wanted = {"maxmemory-policy": "allkeys-lfu"}
    return trials.begin(store, Draft("main", "trial", wanted, seconds, Asked("ada", "", "")))


def test_a_trial_in_its_time_is_no_finding(store: Store) -> None:
    trial(store)
    assert "trial-overdue" not in rules(store)
    assert "trial-stuck" not in rules(store)


def test_a_trial_that_should_have_ended_is_told_without_samples_too(store: Store) -> None:
    trial(store)
    told = rules(store, time.time() + 90)
    assert "(maxmemory-policy=allkeys-lfu) should have ended 30" in told["trial-overdue"]


def test_a_trial_that_could_not_be_taken_back_is_told(store: Store) -> None:
    begun = trial(store)
    ending = trials.go(store, begun, "ending")
    assert ending
    trials.go(store, ending, "stuck")
    assert "could not be taken back" in rules(store)["trial-stuck"]


def test_a_trial_that_has_ended_is_told_no_more(store: Store) -> None:
    trials.go(store, trial(store), "reverted")
    assert "trial-overdue" not in rules(store, time.time() + 3600)


def test_the_last_analysis_of_all_keys_tells_what_has_no_ttl(store: Store, tmp_path: Path) -> None:
    with running("--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru") as server:
        with server.client() as client, client.pipeline(transaction=False) as pipe:
            for number in range(800):
                pipe.set(f"s:{number}", "x", ex=3600)
            for number in range(200):
                pipe.set(f"l:{number}", "x" * 5000)
            pipe.execute()
        assert known_of(store).analysed is None
        analyse(store, server, tmp_path, Selection(b"s:*"))
        assert known_of(store).analysed is None, "a part of the keys says nothing of the whole"
        analyse(store, server, tmp_path, Selection())
        analysed = known_of(store).analysed
        assert analysed
        assert analysed.without_ttl / analysed.memory > 0.8
        assert time.time() - analysed.at < 60


def known_of(store: Store) -> knowing.Known:
    return knowing.with_known(store, "main", seeing.gather(store, "main", time.time(), 2.0)).known


def analyse(store: Store, server: Server, folder: Path, selection: Selection) -> None:
    with closing(Cache(parse_target(f"main={server.url}"))) as cache:
        pool = Pool(store, {"main": cache}, Settings(data=folder))
        pool.start()
        try:
            arguments = analysis_job.arguments(selection, 1.0)
            job = jobs.create(store, "main", analysis_job.NAME, arguments, "ada", "")
            wait_until(lambda: not (found := jobs.get(store, job.id)) or not found.open, "the analysis has ended")
        finally:
            pool.ask_to_stop()
            pool.finish(5)


LONG, SHORT = 800_000, 10
"""Elements that LPOS looks through in vain: some tens of milliseconds, or some microseconds."""


@pytest.mark.parametrize(("elements", "told"), [(LONG, True), (SHORT, False)])
def test_slow_commands_are_a_finding_and_quick_ones_are_none(store: Store, elements: int, told: bool) -> None:
    assert latency.p99_ms(store, "main", 300) is None  # not by known_of, which remembers it for a while
    with running() as server, closing(Cache(parse_target(f"main={server.url}"))) as cache, server.client() as client:
        client.execute_command("EVAL", "for i = 1, ARGV[1] do redis.call('RPUSH', 'list', i) end", 0, elements)
        follower = Follower(store, cache, 0.2, 0.2)
        follower.sample()
        first = time.time()
        for _ in range(110):
            client.execute_command("LPOS", "list", "not there")
        wait_until(lambda: time.time() > first + 0.5, "another sample is due")
        follower.sample()
    p99 = latency.p99_ms(store, "main", 300)
    assert p99
    assert (p99 > 10) is told
    assert ("slow-commands" in rules(store)) is told


def test_stampedes_that_a_watch_saw_are_told_for_an_hour(store: Store) -> None:
    def told(after: float = 0.0) -> list[str]:
        now = time.time() + after
        seen = knowing.with_known(store, "main", seeing.gather(store, "main", now, 2.0))
        return [one.sentence for one in BY_ID["stampede"].check(seen)]

    assert told() == []
    keep_watch(store, WATCHED, cache="other")
    assert told() == []
    keep_watch(store, WATCHED)
    assert told() == ["A watch saw 3 keys with a stampede in the last hour."]
    assert told(after=knowing.STAMPEDED_SECONDS + 5) == []
    keep_watch(store, replace(WATCHED, found=Stampedes()))
    assert told() == []
