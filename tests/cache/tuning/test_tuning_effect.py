"""What is said of a change of settings before it is made, and of each policy: with the cache's own numbers."""

from __future__ import annotations

import pytest

from dashboard.cache.analysis.report import Activity, Group, Report
from dashboard.cache.estimate import exactly
from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.picture import Picture, picture
from dashboard.cache.statistics.rates import Rates
from dashboard.cache.tuning.effect import Evidence, Planned, Remark, judged, remarks
from dashboard.cache.tuning.effect_costs import longest_round
from dashboard.cache.tuning.policies import EVERYWHERE

NOW = 1_800_000_000.0
MB = 1024 * 1024
USUAL = {
    "keys": 100_000.0,
    "keys_with_ttl": 100_000.0,
    "used_memory": 60.0 * MB,
    "used_memory_dataset": 50.0 * MB,
    "used_memory_startup": 1.0 * MB,
    "maxmemory": 64.0 * MB,
    "total_system_memory": 1024.0 * MB,
    "avg_ttl_ms": 90_000.0,
    "mem_clients_normal": 3.0 * MB,
}
TRAFFIC = {"keyspace_hits": 9120.0, "keyspace_misses": 880.0}


def seen(
    policy: str = "allkeys-lru",
    change: dict[str, float] | None = None,
    gained: float = 0.0,
    report: Report | None = None,
    age: float = 0.0,
    nodes: tuple[str, ...] = ("a:1",),
    limits: dict[str, int] | None = None,
    **values: float,
) -> Evidence:
    rates = Rates(NOW - 300, NOW, TRAFFIC | (change or {}), {"used_memory": gained * 300})
    readings = [Reading(NOW - age, node, USUAL | values, {"maxmemory_policy": policy}) for node in nodes]
    made = picture(NOW, 2.0, readings, dict.fromkeys(nodes, rates), {})
    return Evidence(made, report, NOW - 7200 if report else None, limits)


def unexpiring_report(share: float, **more: object) -> Report:
    memory = exactly(50 * MB)
    return Report(NOW, memory=memory, without_ttl_memory=exactly(50 * MB * share), **more)  # type: ignore[arg-type]


def plan(wanted: dict[str, str], node: str = "a:1", primary: str = "", **now: str) -> Planned:
    had = {name.replace("_", "-"): value for name, value in now.items()}
    return Planned(node, primary or node, {name: had.get(name, "") for name in wanted}, wanted, had)


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


def said(evidence: Evidence, wanted: dict[str, str], **now: str) -> list[tuple[str, str, bool]]:
    return [(one.level, plain(one.sentence), one.asks) for one in remarks([plan(wanted, **now)], evidence)]


def means(policy: str, evidence: Evidence) -> tuple[str, str]:
    found = judged(policy, evidence)
    assert not found.asks
    return found.level, plain(found.sentence)


# Policies


def test_volatile_says_how_much_memory_would_never_be_evicted() -> None:
    half = seen(keys_with_ttl=50_000, report=unexpiring_report(0.31))
    assert means("volatile-lru", half) == (
        "warning",
        "31 % of memory (15.5 MB, by the analysis of 2 h ago) has no TTL and would never be evicted.",
    )


def test_without_an_analysis_it_goes_by_the_number_of_keys() -> None:
    assert means("volatile-lru", seen(keys_with_ttl=90_000)) == (
        "info",
        "10 % of the keys (10 k) have no TTL and would never be evicted.",
    )


def test_volatile_without_any_ttl_evicts_nothing() -> None:
    level, sentence = means("volatile-ttl", seen(keys_with_ttl=0))
    assert level == "critical"
    assert "nothing can be evicted" in sentence


def test_volatile_that_could_not_stay_below_maxmemory_is_critical() -> None:
    fills = seen(keys_with_ttl=50_000, maxmemory=50.0 * MB, report=unexpiring_report(0.95))
    assert means("volatile-lru", fills)[0] == "critical"


def test_volatile_ttl_says_how_much_ttl_is_left() -> None:
    level, sentence = means("volatile-ttl", seen())
    assert level == "ok"
    assert "they have 2 min left on average" in sentence


def test_allkeys_says_that_keys_without_ttl_may_go_too() -> None:
    assert (
        "10 % of the keys (10 k) have no TTL and may be evicted too."
        in means("allkeys-lru", seen(keys_with_ttl=90_000))[1]
    )


def test_noeviction_says_when_writes_will_fail() -> None:
    assert means("noeviction", seen(gained=4 * MB / 2400)) == (
        "critical",
        "Writes will fail in about 40 min, at the growth of the last minutes.",
    )


def test_noeviction_of_a_cache_that_evicts_fails_at_once() -> None:
    level, sentence = means("noeviction", seen(change={"evicted_keys": 360_000}))
    assert level == "critical"
    assert sentence.startswith("1.2 k keys/s are evicted now")


def test_lru_says_how_long_the_oldest_were_idle() -> None:
    groups = (
        Group("under 1 s", exactly(500)),
        Group("1 h to 2 h", exactly(420)),
        Group("2 h to 4 h", exactly(80)),
    )
    told = seen(report=unexpiring_report(0, activity=Activity("idle", groups)))
    assert "has been idle for 1 h to 2 h or longer (a tenth of the keys" in means("allkeys-lru", told)[1]


def test_lfu_compares_how_often_keys_are_read_with_how_soon_counters_fall() -> None:
    rare = means("allkeys-lfu", seen())
    assert "A key is read every 50 min on average" in rare[1]
    assert "only keys that are used more often are told apart" in rare[1]
    often = means("allkeys-lfu", seen(change={"keyspace_hits": 3_000_000.0}))
    assert often[0] == "ok"


def test_random_names_the_hits_of_now() -> None:
    assert "expect fewer hits than the 91.2 % of now" in means("allkeys-random", seen())[1]


def test_without_maxmemory_no_policy_evicts() -> None:
    assert means("allkeys-lru", seen(maxmemory=0))[1].startswith("No maxmemory is set: no policy evicts anything")


@pytest.mark.parametrize("policy", [*EVERYWHERE, "allkeys-lrm", "volatile-lrm", "allkeys-something", "quantum"])
@pytest.mark.parametrize(
    "evidence",
    [
        seen(),
        seen(keys=0, keys_with_ttl=0),
        seen(maxmemory=0),
        seen(age=600),
        seen(keys_with_ttl=0),
        Evidence(Picture(NOW, 2.0, ())),
    ],
    ids=["usual", "empty", "no limit", "stale", "no ttl", "no samples"],
)
def test_every_policy_is_judged_in_a_sentence_whatever_is_known(policy: str, evidence: Evidence) -> None:
    found = judged(policy, evidence)
    assert found.sentence.endswith(".")


def test_stale_samples_judge_nothing() -> None:
    assert means("noeviction", seen(age=600)) == (
        "info",
        "No fresh samples: what it would mean here cannot be told.",
    )


# maxmemory


def test_a_limit_below_use_says_how_much_goes_at_what_rate_and_for_how_long_and_asks() -> None:
    many = seen(keys=10_000_000, keys_with_ttl=10_000_000)
    assert said(many, {"maxmemory": str(35 * MB)}, maxmemory=str(64 * MB)) == [
        (
            "warning",
            (
                "25 MB would be evicted at once: about 5 M keys (50 %), at about 250 k keys/s for about 20 s, "
                "in which only about 1 k commands/s are served."
            ),
            True,
        )
    ]


def test_a_limit_below_use_where_nothing_is_evicted_fails_writes() -> None:
    ((level, sentence, asks),) = said(seen("noeviction"), {"maxmemory": str(35 * MB)}, maxmemory=str(64 * MB))
    assert (level, asks) == ("critical", True)
    assert sentence == "25 MB more than this are in use, and noeviction evicts nothing: writes fail at once."


def test_a_limit_below_what_has_no_ttl_is_critical_under_volatile() -> None:
    few = seen("volatile-lru", keys_with_ttl=30_000)
    ((level, sentence, asks),) = said(few, {"maxmemory": str(35 * MB)}, maxmemory=str(64 * MB))
    assert (level, asks) == ("critical", True)
    assert "what has a TTL is 10 MB less than that" in sentence


def test_what_was_just_read_counts_more_than_a_sample() -> None:
    one = Planned("a:1", "a:1", {"maxmemory": "0"}, {"maxmemory": str(70 * MB)}, {}, used=80 * MB)
    assert any("10 MB would be evicted" in plain(remark.sentence) for remark in remarks([one], seen()))


def test_lowering_without_any_sample_asks() -> None:
    nothing = Evidence(Picture(NOW, 2.0, ()))
    assert [one[2] for one in said(nothing, {"maxmemory": str(35 * MB)}, maxmemory=str(64 * MB))] == [True]


def test_policy_and_limit_of_one_change_are_judged_together() -> None:
    both = said(
        seen("noeviction"), {"maxmemory": str(35 * MB), "maxmemory-policy": "allkeys-lru"}, maxmemory=str(64 * MB)
    )
    assert not any("writes fail" in sentence for _, sentence, _ in both)
    assert any("would be evicted at once" in sentence for _, sentence, _ in both)


@pytest.mark.parametrize("limit", ["1", "1000"])
def test_a_limit_of_a_byte_asks(limit: str) -> None:
    ((level, sentence, asks),) = said(seen(), {"maxmemory": limit}, maxmemory=str(64 * MB))
    assert (level, asks) == ("critical", True)
    assert "is less than an empty server needs (1 MB)" in sentence


def test_no_limit_asks() -> None:
    ((level, sentence, asks),) = said(seen(), {"maxmemory": "0"}, maxmemory=str(64 * MB))
    assert (level, asks) == ("warning", True)
    assert "until its 1 GB are used up" in sentence


def test_more_than_the_machine_has_asks_and_nearly_all_of_it_warns() -> None:
    above = said(seen(), {"maxmemory": str(1025 * MB)}, maxmemory=str(64 * MB))
    assert above[0][0] == "critical"
    assert above[0][2]
    assert "of its machine" in above[0][1]
    near = said(seen(), {"maxmemory": str(900 * MB)}, maxmemory=str(64 * MB))
    assert near[0][0] == "warning"
    assert not near[0][2]


def test_the_containers_limit_counts_before_the_machines() -> None:
    found = said(seen(limits={"a:1": 100 * MB}), {"maxmemory": str(200 * MB)}, maxmemory=str(64 * MB))
    assert "the 100 MB of its container" in found[0][1]


def test_more_memory_says_how_many_keys_more_there_is_room_for() -> None:
    ((level, sentence, asks),) = said(seen(), {"maxmemory": str(114 * MB)}, maxmemory=str(64 * MB))
    assert (level, sentence, asks) == ("info", "50 MB more: room for about 100 k keys more of the present size.", False)


# Policy changes


def test_noeviction_while_keys_are_evicted_asks() -> None:
    busy = seen(change={"evicted_keys": 360_000})
    ((level, _, asks),) = said(busy, {"maxmemory-policy": "noeviction"}, maxmemory_policy="allkeys-lru")
    assert (level, asks) == ("critical", True)


def test_volatile_without_ttl_asks() -> None:
    found = said(seen(keys_with_ttl=0), {"maxmemory-policy": "volatile-lru"}, maxmemory_policy="allkeys-lru")
    assert [(level, asks) for level, _, asks in found] == [("critical", True)]


def test_keys_that_were_spared_so_far_are_told_and_asked_for() -> None:
    found = said(
        seen("volatile-lru", keys_with_ttl=90_000),
        {"maxmemory-policy": "allkeys-lru"},
        maxmemory_policy="volatile-lru",
    )
    assert found == [
        (
            "warning",
            "10 % of the keys (10 k) have no TTL and may be evicted from now on, which volatile-lru never does.",
            True,
        )
    ]


def test_lfu_begins_to_count_anew_and_lru_loses_what_it_counted() -> None:
    to_lfu = said(seen(), {"maxmemory-policy": "allkeys-lfu"}, maxmemory_policy="allkeys-lru")
    assert [level for level, _, _ in to_lfu] == ["info"]
    assert to_lfu[0][1].startswith("Counting begins anew")
    back = said(seen("allkeys-lfu"), {"maxmemory-policy": "allkeys-lru"}, maxmemory_policy="allkeys-lfu")
    assert back[0][1].startswith("What LFU has counted is lost")


def test_a_harmless_change_says_nothing() -> None:
    assert said(seen(), {"maxmemory-policy": "allkeys-random"}, maxmemory_policy="allkeys-lru") == []
    assert said(seen(), {"lazyfree-lazy-eviction": "yes"}) == []


def test_a_policy_without_limit_changes_nothing() -> None:
    found = said(seen(maxmemory=0), {"maxmemory-policy": "allkeys-random"}, maxmemory_policy="allkeys-lru")
    assert "the policy changes nothing" in found[0][1]


# Nodes


def test_each_remark_says_on_which_nodes() -> None:
    three = seen("noeviction", nodes=("a:1", "b:1", "c:1"))
    plans = [
        plan({"maxmemory": str(35 * MB)}, "a:1", maxmemory=str(64 * MB), maxmemory_policy="noeviction"),
        plan({"maxmemory": str(35 * MB)}, "b:1", maxmemory=str(64 * MB), maxmemory_policy="allkeys-lru"),
        plan({"maxmemory": str(35 * MB)}, "c:1", maxmemory=str(128 * MB), maxmemory_policy="allkeys-lru"),
    ]
    found = [plain(one.sentence) for one in remarks(plans, three)]
    assert any("in use on a:1, and noeviction" in sentence for sentence in found)
    assert any("50 MB would be evicted at once on 2 of 3 nodes" in sentence for sentence in found)
    assert any("The nodes have different values of maxmemory now" in sentence for sentence in found)


def test_replicas_that_are_left_out_are_told_of() -> None:
    found = said(seen(connected_slaves=2), {"maxmemory-policy": "allkeys-random"}, maxmemory_policy="allkeys-lru")
    assert found[0][1].startswith("2 replicas keep what they have")
    both = [
        plan({"maxmemory-policy": "allkeys-random"}, maxmemory_policy="allkeys-lru"),
        plan({"maxmemory-policy": "allkeys-random"}, "r:1", "a:1", maxmemory_policy="allkeys-lru"),
    ]
    assert remarks(both, seen(connected_slaves=1)) == ()


# The other settings


def test_many_samples_say_what_they_come_to() -> None:
    found = said(seen(change={"evicted_keys": 300_000}), {"maxmemory-samples": "64"})
    assert "64 keys are looked at for each eviction, 64 k a second" in found[0][1]
    assert said(seen(), {"maxmemory-samples": "10"}) == []


def test_tenacity_without_end_asks() -> None:
    assert [(level, asks) for level, _, asks in said(seen(), {"maxmemory-eviction-tenacity": "100"})] == [
        ("warning", True)
    ]
    assert said(seen(), {"maxmemory-eviction-tenacity": "20"}) == []


@pytest.mark.parametrize(("tenacity", "seconds"), [(0, 0.0), (10, 0.0005), (11, 0.000575), (100, float("inf"))])
def test_how_long_a_round_may_take(tenacity: int, seconds: float) -> None:
    assert longest_round(tenacity) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [str(2 * MB), "4%"])
def test_a_limit_of_clients_below_what_they_use_asks(value: str) -> None:
    found = said(seen(), {"maxmemory-clients": value}, maxmemory=str(64 * MB))
    assert [(level, asks) for level, _, asks in found] == [("critical", True)]


def test_a_share_of_no_limit_limits_nothing() -> None:
    assert "limits nothing" in said(seen(maxmemory=0), {"maxmemory-clients": "4%"}, maxmemory="0")[0][1]


def test_lfu_settings_under_another_policy_do_nothing() -> None:
    found = said(seen(), {"lfu-decay-time": "0"}, maxmemory_policy="allkeys-lru")
    assert found == [("info", "lfu-* settings do nothing under allkeys-lru.", False)]


def test_more_effort_for_expiry_says_its_share_of_time() -> None:
    found = said(seen(expired_stale_perc=12.0), {"active-expire-effort": "10"}, active_expire_effort="1")
    assert "up to 43 %" in found[0][1]
    assert "12 % of the keys with a TTL have expired" in found[0][1]


def test_notifications_say_how_many_there_would_be() -> None:
    events = said(seen(change={"evicted_keys": 300_000}), {"notify-keyspace-events": "Eem"})
    assert "about 1 k a second" in events[0][1]


def test_the_worst_comes_first() -> None:
    found = remarks([plan({"maxmemory": "1", "lfu-decay-time": "5"}, maxmemory_policy="allkeys-lru")], seen())
    assert [one.level for one in found] == ["critical", "info"]
    assert all(isinstance(one, Remark) for one in found)
