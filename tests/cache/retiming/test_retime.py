"""Bad weather for a retiming: what is denied, what is lost in the middle, and that the counts stay what was done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import redis

from dashboard.cache.errors import CacheError, Denied
from dashboard.cache.retiming.change import IntoRange, Jitter
from dashboard.cache.retiming.run import BY_COMMANDS, BY_SCRIPT, Options, plan, retime
from dashboard.cache.retiming.tally import Done
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from tests.servers import Cluster, Server, start_cluster

FAST = Options(Budget(share=1.0), every=0.0)
STEPS = Options(Budget(share=1.0, first_count=20, hold_ms=0.05), every=0.0)
MANY = 2000
ALL = "~* &* +@all"


@dataclass
class Bob:
    """A user of one server whose rights a test takes away; `at` is when all of the keys k:* expire, ms."""

    client: redis.Redis
    port: int
    at: int

    def may(self, rights: str) -> None:
        self.client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", *rights.split())

    def cache(self) -> closing[Cache]:
        return closing(Cache(parse_target(f"shop=redis://bob:pw@127.0.0.1:{self.port}")))

    def moved(self) -> int:
        pipe = self.client.pipeline(transaction=False)
        for number in range(MANY):
            pipe.pexpiretime(f"k:{number}")
        return sum(moment != self.at for moment in pipe.execute())


@pytest.fixture
def bob(valkey: Server) -> Iterator[Bob]:
    at = (int(time.time()) + 3000) * 1000
    with valkey.client() as client:
        pipe = client.pipeline(transaction=False)
        for number in range(MANY):
            pipe.set(f"k:{number}", "v", pxat=at)
        pipe.execute()
        yield Bob(client, valkey.port, at)
        client.execute_command("ACL", "DELUSER", "bob")


def _drained(doing: Iterator[Done], kind: type[CacheError]) -> tuple[Done | None, CacheError]:
    """The last snapshot before an error, and the error."""
    seen: list[Done] = []
    with pytest.raises(kind) as error:
        seen.extend(doing)
    return seen[-1] if seen else None, error.value


def _until_error(cache: Cache, kind: type[CacheError], options: Options = FAST) -> tuple[Done | None, CacheError]:
    return _drained(retime(cache, Selection(b"k:*"), Jitter(300), options), kind)


def test_where_scripts_are_denied_plain_commands_do_it(bob: Bob) -> None:
    bob.may(f"{ALL} -@scripting")
    with bob.cache() as cache:
        *_, made = plan(cache, Selection(b"k:*"), Jitter(300), FAST)
        *_, done = retime(cache, Selection(b"k:*"), Jitter(300), FAST)
    assert (made.method, done.method, done.atomic) == (BY_COMMANDS, BY_COMMANDS, False)
    assert (made.changed.value, done.changed) == (MANY, MANY)
    assert bob.moved() >= MANY - 3


def test_where_scripts_are_denied_in_the_middle_plain_commands_go_on(bob: Bob) -> None:
    bob.may(ALL)
    with bob.cache() as cache:
        doing = retime(cache, Selection(b"k:*"), IntoRange(5000, 6000), STEPS)
        assert next(doing).method == BY_SCRIPT
        bob.may(f"{ALL} -@scripting")
        *_, done = doing
    assert (done.changed, done.method) == (MANY, BY_COMMANDS)
    assert bob.moved() == MANY


@pytest.mark.parametrize("denied", ["scan", "pttl", "pexpire"])
def test_a_command_that_is_denied_is_named_before_anything_is_done(denied: str, bob: Bob) -> None:
    bob.may(f"{ALL} -{denied}")
    with bob.cache() as cache:
        last, error = _until_error(cache, Denied)
    assert last is None
    assert error.sentence == f"Cachedeck's user on shop may not run {denied.upper()}."
    assert bob.moved() == 0


def test_a_size_that_may_not_be_asked_is_named(bob: Bob) -> None:
    bob.may(f"{ALL} -memory")
    with bob.cache() as cache, pytest.raises(Denied, match="MEMORY USAGE"):
        list(plan(cache, Selection(b"k:*", size=">1"), Jitter(300), FAST))


def test_the_plan_can_be_made_by_who_may_not_act(bob: Bob) -> None:
    bob.may(f"{ALL} -pexpire -eval")
    with bob.cache() as cache:
        *_, made = plan(cache, Selection(b"k:*"), Jitter(300), FAST)
    assert (made.changed.value, made.method) == (MANY, BY_SCRIPT)


@pytest.mark.parametrize("scripts", ["", " -@scripting"])
def test_a_right_that_is_taken_away_in_the_middle_ends_it_with_exact_counts(scripts: str, bob: Bob) -> None:
    bob.may(ALL + scripts)
    with bob.cache() as cache:
        doing = retime(cache, Selection(b"k:*"), IntoRange(5000, 6000), STEPS)
        done = next(doing)
        while done.changed < MANY // 4:
            done = next(doing)
        bob.may(f"{ALL} -pexpire{scripts}")
        last, error = _drained(doing, Denied)
    assert error.sentence == "Cachedeck's user on shop may not run PEXPIRE."
    assert last
    done = last
    assert 0 < done.changed < MANY
    assert done.changed == bob.moved()
    assert done.unsure == 0
    assert done.refused > 0


@pytest.mark.parametrize("scripts", ["", " -@scripting"])
def test_keys_that_are_not_this_users_are_refused_one_by_one_and_counted(scripts: str, bob: Bob) -> None:
    bob.may(f"~k:1* &* +@all{scripts}")
    with bob.cache() as cache:
        *_, done = retime(cache, Selection(b"k:*"), IntoRange(5000, 6000), FAST)
    mine = sum(str(number).startswith("1") for number in range(MANY))
    assert (done.changed, done.refused) == (mine, MANY - mine)
    assert "key" in done.refusal
    assert bob.moved() == mine


@pytest.mark.parametrize("scripts", ["", " -@scripting"])
def test_a_clock_that_may_not_be_asked_hinders_only_a_window_of_instants(scripts: str, bob: Bob) -> None:
    bob.may(f"{ALL} -time{scripts}")
    with bob.cache() as cache:
        *_, made = plan(cache, Selection(b"k:*"), Jitter(300), FAST)
        assert made.changed.value == MANY
        assert made.before.peak
        assert abs(made.before.peak.at - bob.at / 1000) <= 2
        at = bob.at // 1000
        with pytest.raises(Denied, match="TIME"):
            list(retime(cache, Selection(b"k:*", ttl=f"@{at}-{at + 1}"), Jitter(300), FAST))
    assert bob.moved() == 0


def test_a_server_that_goes_away_ends_it_with_what_was_done() -> None:
    cluster: Cluster = start_cluster(3, "--cluster-require-full-coverage", "no")
    try:
        with closing(cluster.client()) as client:
            for number in range(MANY):
                client.set(f"k:{number}", "v", ex=3000)
        with closing(Cache(parse_target(f"shop={cluster.url}"))) as cache:
            doing = retime(cache, Selection(b"k:*"), IntoRange(5000, 6000), STEPS)
            done = next(doing)
            while done.changed < MANY // 4:
                done = next(doing)
            cluster.servers[0].stop()
            last, _ = _drained(doing, CacheError)
        assert last
        done = last
        assert len(done.progress.lost) == 1
        moved = 0
        for server in cluster.servers[1:]:
            with server.client() as client:
                moved += sum(client.ttl(key) > 4000 for key in client.scan_iter("k:*", count=1000))
                assert all(client.ttl(key) > 4000 for key in client.scan_iter("k:*", count=1000))
        assert moved < done.changed < MANY
    finally:
        cluster.stop()
