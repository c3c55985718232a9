"""Trials end by themselves, in time, also when the worker was dead at their deadline; and sooner where they hurt."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.tuning import node_settings
from dashboard.cache.tuning.node_settings import NodeSettings, Put
from dashboard.cache.tuning.trial_rules import Guards
from dashboard.jobs import putting, trial_guard, trying, tuning
from dashboard.jobs.tuning_refused import Busy, HasEnded, NoSuchChange, NotStarted, Refused
from dashboard.store import setting_changes, trials
from dashboard.store.setting_changes import Asked
from dashboard.store.trials import Draft, OneIsOpen
from tests.contract.sites import SERVICE, watched_primary
from tests.jobs.tuned import ADA, LFU, Tuned, tuned, tuned_cluster
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, running, start

POLICY = "maxmemory-policy"


@pytest.fixture
def shop(valkey: Server, tmp_path: Path) -> Iterator[Tuned]:
    with tuned(tmp_path, valkey.url, [valkey]) as found:
        yield found


@pytest.fixture
def three(cluster: Cluster, tmp_path: Path) -> Iterator[Tuned]:
    with tuned_cluster(tmp_path, cluster) as found:
        yield found


# --- starting -----------------------------------------------------------------------------------------------


def test_it_puts_the_settings_on_every_primary_and_says_until_when(three: Tuned) -> None:
    trial = three.started(1800, Guards(hit_ratio_points=2))
    assert three.values("maxmemory-policy") == ["allkeys-lfu"] * 3
    assert (trial.state, trial.wanted, trial.guards["hit_ratio_points"]) == ("running", LFU, 2)
    assert trial.ends_at == pytest.approx(trial.started_at + 1800)
    assert trials.open_on(three.store, ["shop"]) == [trial]
    (entry,) = three.audited("settings.try")
    assert (entry.actor, entry.status, entry.after["trial"]) == ("ada", "done", trial.number)


def test_where_the_second_of_three_refuses_it_is_taken_back_from_the_first(three: Tuned) -> None:
    three.forbid(three.servers[1], "-config|set")
    with pytest.raises(NotStarted, match="CONFIG SET"):
        three.started()
    assert three.values("maxmemory-policy") == ["noeviction"] * 3
    (trial,) = trials.of_cache(three.store, "shop")
    assert (trial.state, trial.open) == ("failed", False)
    assert three.audited("settings.try")[0].status == "failed"
    three.forbid(three.servers[1], "+config|set")
    assert three.started().state == "running"


def test_a_cache_has_one_trial_at_a_time(shop: Tuned) -> None:
    shop.started()
    with pytest.raises((OneIsOpen, Refused)):
        trying.start(shop.store, shop.settings, shop.cache, {"maxmemory-samples": "7"}, 60, Guards(), ADA)


@pytest.mark.parametrize("seconds", [0, 9.9, -60, 8 * 86400, float("nan"), float("inf")])
def test_it_takes_neither_moments_nor_months(shop: Tuned, seconds: float) -> None:
    with pytest.raises(Refused, match="between"):
        shop.started(seconds)
    assert shop.values("maxmemory-policy") == ["noeviction"]


# --- its end ------------------------------------------------------------------------------------------------


def test_it_goes_back_when_its_time_is_over_and_not_before(shop: Tuned) -> None:
    trial, guard = shop.started(60), shop.guard()
    guard.look(trial.ends_at - 1)
    assert shop.values("maxmemory-policy") == ["allkeys-lfu"]
    guard.look(trial.ends_at + 1)
    assert shop.values("maxmemory-policy") == ["noeviction"]
    ended = shop.trial(trial.number)
    assert (ended.state, ended.why) == ("reverted", "Its time, 1\u202fmin, was over.")
    (back,) = [one for one in setting_changes.of_cache(shop.store, "shop") if one.kind == "trial end"]
    assert (back.number, back.takes_back, back.state) == (ended.taken_back, trial.change, "applied")
    (entry,) = shop.audited("settings.try.end")
    assert (entry.actor, entry.status) == ("cachedeck, for ada", "done")
    assert shop.started().state == "running"


def test_what_is_overdue_at_a_workers_start_is_taken_back_at_once_and_says_how_late(shop: Tuned) -> None:
    trial = shop.started(60)
    shop.guard().look(trial.ends_at + 3600)
    assert shop.values("maxmemory-policy") == ["noeviction"]
    assert "60\u202fmin late: no worker ran" in shop.trial(trial.number).why


def test_two_workers_take_it_back_once(shop: Tuned) -> None:
    trial = shop.started(60)
    first, second = shop.guard(), shop.guard()
    for guard in (first, second, first):
        guard.look(trial.ends_at + 1)
    assert len([one for one in setting_changes.of_cache(shop.store, "shop") if one.kind == "trial end"]) == 1


def test_a_clock_that_is_set_back_makes_it_no_longer(shop: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, guard = shop.started(60), shop.guard()
    guard.look(trial.started_at)
    begun = time.monotonic()
    monkeypatch.setattr(trial_guard.time, "monotonic", lambda: begun + 61)
    guard.look(trial.started_at - 7200)
    assert shop.trial(trial.number).state == "reverted"


def test_a_clock_that_jumps_ahead_ends_it_early_and_never_late(shop: Tuned) -> None:
    trial = shop.started(60)
    shop.guard().look(trial.ends_at + 86400)
    assert shop.trial(trial.number).state == "reverted"


def test_it_can_be_ended_or_kept_before_its_time(shop: Tuned) -> None:
    trial = shop.started()
    ended = trying.end(shop.store, shop.settings, shop.cache, trial.number, ADA)
    assert (ended.state, ended.why, shop.values("maxmemory-policy")) == (
        "reverted",
        "Taken back by ada.",
        ["noeviction"],
    )
    kept = trying.end(shop.store, shop.settings, shop.cache, shop.started().number, ADA, keep=True)
    assert (kept.state, shop.values("maxmemory-policy")) == ("kept", ["allkeys-lfu"])
    shop.guard().look(kept.ends_at + 1)
    assert shop.values("maxmemory-policy") == ["allkeys-lfu"]
    for number in (trial.number, kept.number):
        with pytest.raises(HasEnded):
            trying.end(shop.store, shop.settings, shop.cache, number, ADA)
    with pytest.raises(NoSuchChange):
        trying.end(shop.store, shop.settings, shop.cache, 99, ADA)


def test_while_it_is_being_sent_it_is_not_ended_and_while_it_is_being_taken_back_it_is_not_kept(
    three: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, told = node_settings.put, []

    def put_and_end(cache: Cache, node: Node, wanted: Mapping[str, str]) -> Put:
        (trial,) = trials.open_on(three.store, ["shop"])
        for keep in (False, True):
            with pytest.raises(Busy, match="just now") as refused:
                trying.end(three.store, three.settings, three.cache, trial.number, ADA, keep=keep)
            told.append(refused.value.sentence)
        return put(cache, node, wanted)

    monkeypatch.setattr(node_settings, "put", put_and_end)
    trial = three.started()
    assert three.values("maxmemory-policy") == ["allkeys-lfu"] * 3
    assert trying.end(three.store, three.settings, three.cache, trial.number, ADA).state == "reverted"
    assert three.values("maxmemory-policy") == ["noeviction"] * 3
    assert set(told) == {"Trial 1 is being started just now.", "Trial 1 is being taken back just now."}


def test_who_was_taken_for_dead_while_sending_it_leaves_nothing_behind(
    three: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard takes back what the first primary has; the other two get the settings after that."""
    put, clock, guard = node_settings.put, time.monotonic, three.guard()

    def put_late(cache: Cache, node: Node, wanted: Mapping[str, str]) -> Put:
        if len(setting_changes.of_cache(three.store, "shop")) == 1 and "allkeys-lfu" in three.values(POLICY):
            guard.look(time.time())
            with monkeypatch.context() as patch:
                patch.setattr(trial_guard.time, "monotonic", lambda: clock() + 31)
                guard.look(time.time())
        return put(cache, node, wanted)

    monkeypatch.setattr(node_settings, "put", put_late)
    with pytest.raises(HasEnded):
        three.started()
    assert three.trial(1).state == "reverted"
    assert three.values(POLICY) == ["noeviction"] * 3
    assert [one.kind for one in setting_changes.of_cache(three.store, "shop")] == ["trial end", "trial end", "trial"]


def test_what_is_ended_while_the_guard_looks_at_the_nodes_is_not_put_on_again(
    shop: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, guard, read = shop.started(), shop.guard(), node_settings.read

    def ended_before(cache: Cache, *, replicas: bool = True) -> tuple[NodeSettings, ...]:
        with monkeypatch.context() as patch:
            patch.setattr(node_settings, "read", read)
            trying.end(shop.store, shop.settings, shop.cache, trial.number, ADA)
        return read(cache, replicas=replicas)

    with monkeypatch.context() as patch:
        patch.setattr(node_settings, "read", ended_before)
        guard.look(time.time())
    assert shop.trial(trial.number).state == "reverted"
    assert shop.values(POLICY) == ["noeviction"]


def test_what_is_ended_while_the_guard_puts_it_on_again_is_taken_back(
    shop: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, guard, begin = shop.started(), shop.guard(), putting.begin
    shop.set(POLICY, "noeviction")

    def ended_before(*given: Any, **options: Any) -> setting_changes.SettingChange:
        trying.end(shop.store, shop.settings, shop.cache, trial.number, ADA)
        return begin(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(putting, "begin", ended_before)
        guard.look(time.time())
    assert shop.trial(trial.number).state == "reverted"
    assert shop.values(POLICY) == ["noeviction"]


# --- where it hurts -----------------------------------------------------------------------------------------


def test_it_goes_back_by_itself_when_the_hit_ratio_falls(shop: Tuned) -> None:
    now = time.time()
    for second in range(-300, 1, 10):
        shop.sample(now + second, 9000 * (second + 310) / 10, 1000 * (second + 310) / 10)
    trial, guard = shop.started(1800, Guards(hit_ratio_points=2)), shop.guard()
    guard.look(now + 30)
    assert shop.trial(trial.number).state == "running"
    hits, misses = 9000 * 31, 1000 * 31
    for second in range(10, 61, 10):
        hits, misses = hits + 8000, misses + 2000
        shop.sample(now + second, hits, misses)
    guard.look(now + 61)
    ended = shop.trial(trial.number)
    assert ended.state == "reverted"
    assert "The hit ratio fell from 90" in ended.why
    assert shop.values("maxmemory-policy") == ["noeviction"]
    assert ended.comparison


def test_what_does_not_hurt_goes_on(shop: Tuned) -> None:
    now = time.time()
    for second in range(-300, 61, 10):
        shop.sample(now + second, 9000 * (second + 310) / 10, 1000 * (second + 310) / 10)
    trial = shop.started(1800, Guards(hit_ratio_points=2, evictions=1, p99_ms=100))
    shop.guard().look(now + 61)
    assert shop.trial(trial.number).state == "running"


def test_too_many_evictions_end_it(shop: Tuned) -> None:
    now = time.time()
    trial = shop.started(1800, Guards(evictions=5000))
    for second in range(0, 61, 10):
        shop.sample(now + second, 1000 * (second + 1), 0, evicted=60_000 * second / 10)
    shop.guard().look(now + 61)
    assert "6\u202fk evictions/s" in shop.trial(trial.number).why


def test_limits_that_another_version_wrote_end_it_rather_than_being_ignored(shop: Tuned) -> None:
    asked = Asked("ada", "", "")
    draft = Draft("shop", "trial", LFU, 60, asked, guards={"unheard_of": 1})
    trial = trials.begin(shop.store, draft)
    assert trials.go(shop.store, trial, "running")
    shop.guard().look(trial.started_at + 30)
    assert "cannot read its limits" in shop.trial(trial.number).why


# --- bad weather --------------------------------------------------------------------------------------------


def test_a_primary_that_was_started_anew_is_given_the_settings_again(tmp_path: Path) -> None:
    with running("--maxmemory", "20mb") as server, tuned(tmp_path, server.url, [server]) as site:
        trial, guard = site.started(), site.guard()
        server.restart()
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all")
        guard.look(trial.started_at + 1)
        assert site.values("maxmemory-policy") == ["allkeys-lfu"]
        assert "was given them again" in site.trial(trial.number).notes[-1]
        guard.look(trial.ends_at + 1)
        assert site.values("maxmemory-policy") == ["noeviction"]


def test_what_somebody_else_sets_meanwhile_is_left_and_told_of(shop: Tuned) -> None:
    trial, guard = shop.started(), shop.guard()
    shop.set("maxmemory-policy", "volatile-ttl")
    guard.look(trial.started_at + 1)
    guard.look(trial.ends_at + 1)
    assert shop.values("maxmemory-policy") == ["volatile-ttl"]
    ended = shop.trial(trial.number)
    assert ended.state == "reverted"
    assert any("somebody else" in note for note in ended.notes)


def _fails_over(sentinel: redis.Redis) -> bool:
    """Not before it has got to know the replica."""
    with contextlib.suppress(redis.ResponseError):
        return bool(sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE))
    return False


def test_when_a_replica_takes_over_it_is_given_the_settings_and_they_are_taken_back_there(tmp_path: Path) -> None:
    with watched_primary() as (primary, sentinel):
        replica = start("--replicaof", f"{HOST} {primary.port}")
        try:
            with replica.client() as client:
                wait_until(lambda: client.info("replication")["master_link_status"] == "up", "it replicates")
            url = f"redis+sentinel://{HOST}:{sentinel.port}/{SERVICE}"
            with tuned(tmp_path, url, [primary, replica]) as site:
                trial, guard = site.started(), site.guard()
                assert site.values("maxmemory-policy") == ["allkeys-lfu", "noeviction"]
                with sentinel.client() as client:
                    wait_until(lambda: _fails_over(client), "the sentinel lets the replica take over")
                with replica.client() as client:
                    wait_until(lambda: client.info("replication")["role"] == "master", "it took over")

                def held() -> bool:
                    site.cache.primaries(fresh=True)
                    for seen in guard._seen.values():
                        seen.looked = float("-inf")
                    guard.look(trial.started_at + 1)
                    return site.values("maxmemory-policy")[1] == "allkeys-lfu"

                wait_until(held, "the new primary has the settings")
                guard.look(trial.ends_at + 1)
                assert site.values("maxmemory-policy")[1] == "noeviction"
                assert site.trial(trial.number).state == "reverted"
        finally:
            replica.stop()


def test_a_server_that_is_down_at_the_deadline_gets_it_back_when_it_returns(tmp_path: Path) -> None:
    with running() as server, tuned(tmp_path, server.url, [server]) as site:
        trial, guard = site.started(), site.guard()
        server.stop()
        guard.look(trial.ends_at + 1)
        stuck = site.trial(trial.number)
        assert (stuck.state, stuck.open) == ("stuck", True)
        assert "has not taken it back yet" in stuck.notes[-1] or "cannot be taken back yet" in stuck.notes[-1]
        server.process = start("--maxmemory-policy", "allkeys-lfu", port=server.port, folder=server.folder).process
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all")

        def is_back() -> bool:
            site.guard().look(trial.ends_at + 60)
            return site.trial(trial.number).state == "reverted"

        wait_until(is_back, "it was taken back")
        assert site.values("maxmemory-policy") == ["noeviction"]


def test_who_was_killed_while_starting_it_leaves_nothing_behind(shop: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything up to the last step: the server has it, and nobody says that it runs."""

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(setting_changes, "note", killed)
        shop.started()
    assert shop.values("maxmemory-policy") == ["allkeys-lfu"]
    (trial,) = trials.open_on(shop.store, ["shop"])
    assert trial.state == "starting"
    guard = shop.guard()
    guard.look(trial.started_at + 1)
    assert shop.trial(trial.number).state == "starting"
    begun = time.monotonic()
    monkeypatch.setattr(trial_guard.time, "monotonic", lambda: begun + 31)
    guard.look(trial.started_at + 31)
    assert shop.values("maxmemory-policy") == ["noeviction"]
    assert shop.trial(trial.number).state == "reverted"


def test_the_worker_takes_it_back(shop: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread itself, with a deadline that has passed."""
    trial = shop.started(10)
    monkeypatch.setattr(trial_guard.time, "time", lambda: trial.ends_at + 1)
    guard = shop.guard()
    guard.start()
    wait_until(lambda: not shop.trial(trial.number).open, "it was taken back")
    assert guard.stop(5)
    assert shop.values("maxmemory-policy") == ["noeviction"]


def test_settings_are_free_again_afterwards(shop: Tuned) -> None:
    trial = shop.started(60)
    shop.guard().look(trial.ends_at + 1)
    assert tuning.apply(shop.store, shop.settings, shop.cache, LFU, ADA).state == "applied"
