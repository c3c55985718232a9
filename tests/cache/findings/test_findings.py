"""What the operator reads first: each finding at its threshold, on readings as servers give them."""

from __future__ import annotations

import pytest

from dashboard.cache.findings.rules import LEVELS, Finding, Picture, answer, findings, picture
from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.rates import Rates
from dashboard.cache.wording import count, number_of, percent, size, span

NOW = 1_800_000_000.0
MB = 1024.0 * 1024
HEALTHY = {
    "keys": 1000.0,
    "keys_with_ttl": 1000.0,
    "used_memory": 30 * MB,
    "used_memory_rss": 40 * MB,
    "maxmemory": 64 * MB,
    "total_system_memory": 8192 * MB,
    "connected_clients": 12.0,
    "maxclients": 10000.0,
    "uptime_in_seconds": 86400.0,
    "primary": 1.0,
    "rdb_ok": 1.0,
    "aof_ok": 1.0,
}
TRAFFIC = {"total_commands_processed": 360_000.0, "keyspace_hits": 931.0 * 100, "keyspace_misses": 69.0 * 100}


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


def one(node: str = "a:1", policy: str = "allkeys-lru", at: float = NOW, **values: float) -> Reading:
    return Reading(at, node, HEALTHY | values, {"maxmemory_policy": policy, "role": "master"})


def lately(seconds: float = 300.0, gained: float = 0.0, restarted: bool = False, **change: float) -> Rates:
    return Rates(NOW - seconds, NOW, TRAFFIC | change, {"used_memory": gained}, restarted)


def seen(reading: Reading | None = None, recent: Rates | None = None, **more: object) -> Picture:
    reading = reading or one()
    given = {"latest": [reading], "recent": {reading.node: recent or lately()}, "earlier": {}} | more
    return picture(NOW, 2.0, **given)  # type: ignore[arg-type]


def sentences(what: Picture, level: str = "") -> list[str]:
    return [plain(finding.sentence) for finding in findings(what) if level in ("", finding.level)]


def only(what: Picture, level: str) -> Finding:
    matching = [finding for finding in findings(what) if finding.level == level]
    assert len(matching) == 1, matching
    return matching[0]


def test_a_healthy_cache_says_so_in_numbers() -> None:
    found = findings(seen())
    assert {finding.level for finding in found} == {"ok"}
    assert sentences(seen()) == [
        "Memory: 30 MB of 64 MB (46.9 %), nothing evicted lately.",
        "Every key has a TTL (1 k keys).",
        "Hit ratio 93.1 % over the last 5 min.",
        "1.2 k commands/s, 12 clients, up for 24 h.",
    ]
    assert answer(found) == "No problem found."


def test_findings_are_sorted_by_level() -> None:
    found = findings(seen(one(rdb_ok=0, blocked_clients=1, keys_with_ttl=0, policy_=0), lately(evicted_keys=9000)))
    ranks = [LEVELS.index(finding.level) for finding in found]
    assert ranks == sorted(ranks)
    assert {finding.level for finding in found} == {"critical", "warning", "ok", "info"}


def test_every_finding_is_a_sentence_and_every_bad_one_has_advice() -> None:
    for finding in findings(seen(one(maxmemory=0, rdb_ok=0, aof_ok=0, loading=1), lately(rejected_connections=3))):
        assert finding.sentence.endswith(".")
        assert finding.advice or finding.level in ("ok", "info")


def found(what: Picture, rule: str) -> Finding:
    (finding,) = [one for one in findings(what) if one.rule == rule]
    return finding


# Traffic


def test_a_low_hit_ratio_is_a_warning() -> None:
    finding = only(seen(recent=lately(keyspace_misses=93100)), "warning")
    assert plain(finding.sentence) == "Hit ratio 50 % over the last 5 min."


@pytest.mark.parametrize(
    ("hits_before", "level", "trend"),
    [
        (931.0, "ok", ", steady."),
        (850.0, "ok", ", up from 85 %"),
        (960.0, "ok", ", down from 96 %"),
    ],
)
def test_the_trend_of_the_hit_ratio_is_told(hits_before: float, level: str, trend: str) -> None:
    before = lately(keyspace_hits=hits_before * 100, keyspace_misses=(1000 - hits_before) * 100)
    (sentence,) = [text for text in sentences(seen(earlier={"a:1": before}), level) if "Hit ratio" in text]
    assert trend in sentence


def test_a_hit_ratio_that_falls_is_a_warning() -> None:
    before = lately(keyspace_hits=99_000, keyspace_misses=1000)
    finding = found(seen(earlier={"a:1": before}), "hit-ratio-falling")
    assert plain(finding.sentence) == (
        "The hit ratio fell from 99 % in the 5 min before to 93.1 % over the last 5 min."
    )
    assert not [one for one in findings(seen(earlier={"a:1": before})) if one.rule == "hit-ratio"]


def test_too_few_reads_give_no_hit_ratio() -> None:
    few = lately(keyspace_hits=9, keyspace_misses=90)
    assert "Too few reads over the last 5 min for a hit ratio (99)." in sentences(seen(recent=few), "info")


def test_a_shorter_window_is_named_as_it_is() -> None:
    assert "Hit ratio 93.1 % over the last 40 s." in sentences(seen(recent=lately(seconds=40)))


def test_refused_connections_are_critical() -> None:
    finding = only(seen(recent=lately(rejected_connections=12)), "critical")
    assert plain(finding.sentence) == "12 connections refused lately: maxclients (10 k) was reached."


def test_nearly_all_clients_connected_is_a_warning() -> None:
    assert "9 k of at most 10 k" in plain(only(seen(one(connected_clients=9000)), "warning").sentence)
    assert not sentences(seen(one(connected_clients=8999)), "warning")


def test_blocked_clients_are_told() -> None:
    assert sentences(seen(one(blocked_clients=1)), "info") == [
        "1 client waits in a blocking command (BLPOP, XREAD, WAIT)."
    ]


def test_a_busy_main_thread_is_a_warning() -> None:
    busy = lately(used_cpu_sys_main_thread=100, used_cpu_user_main_thread=180)
    assert "is busy 93.3 % of the time" in plain(only(seen(recent=busy), "warning").sentence)


def test_a_slow_answer_is_a_warning() -> None:
    assert "took 340 ms" in plain(only(seen(one(answer_seconds=0.34)), "warning").sentence)


# Memory


def test_evictions_say_why() -> None:
    full = one(used_memory=64 * MB, used_memory_rss=70 * MB)
    finding = found(seen(full, lately(evicted_keys=360_000)), "evicting")
    assert plain(finding.sentence) == "1.2 k evictions/s: memory is full (64 MB of 64 MB, 100 %, allkeys-lru)."
    assert finding.screen == "eviction"


def test_a_few_evictions_are_counted_and_not_rounded_to_nothing() -> None:
    assert "7 evictions in 5 min: memory was full in between" in sentences(seen(recent=lately(evicted_keys=7)))[0]


def test_no_maxmemory_is_a_warning_and_critical_when_the_machine_is_nearly_full() -> None:
    finding = only(seen(one(maxmemory=0)), "warning")
    start, use = plain(finding.sentence).split(". ")
    assert start == "No maxmemory is set: the server will grow until the kernel stops it"
    assert use == "It uses 30 MB of the machine's 8 GB."
    assert only(seen(one(maxmemory=0, used_memory=6900 * MB, used_memory_rss=6900 * MB)), "critical")


def test_growth_without_a_limit_says_how_long_the_machine_lasts() -> None:
    growing = lately(gained=100 * MB)
    assert "lasts about 7 h" in plain(only(seen(one(maxmemory=0), growing), "warning").sentence)


def test_noeviction_warns_that_writes_will_fail() -> None:
    finding = only(seen(one(policy="noeviction")), "warning")
    assert "writes will fail when memory is full (30 MB of 64 MB, 46.9 % now)" in plain(finding.sentence)


def test_noeviction_is_critical_when_nearly_full_or_soon() -> None:
    nearly = one(policy="noeviction", used_memory=60 * MB, used_memory_rss=64 * MB)
    assert "writes will fail" in only(seen(nearly), "critical").sentence
    soon = only(seen(one(policy="noeviction"), lately(gained=10 * MB)), "critical")
    assert "in about 17 min" in plain(soon.sentence)


def test_noeviction_and_full_means_writes_fail_now() -> None:
    full = one(policy="noeviction", used_memory=64 * MB, used_memory_rss=64 * MB)
    assert "the policy is noeviction: writes fail." in only(seen(full), "critical").sentence


def test_volatile_policy_without_expiring_keys_is_told() -> None:
    finding = only(seen(one(policy="volatile-lru", keys_with_ttl=0, keys=50)), "warning")
    assert "volatile-lru but no key has a TTL" in finding.sentence
    few = one(policy="volatile-ttl", keys_with_ttl=5, keys=95, used_memory=60 * MB, used_memory_rss=64 * MB)
    assert "only 5.3 % of the keys have a TTL" in plain(only(seen(few), "critical").sentence)
    assert not sentences(seen(one(policy="volatile-lru")), "warning")


def test_memory_that_fills_soon_is_a_warning_with_the_time_left() -> None:
    finding = only(seen(recent=lately(gained=10 * MB)), "warning")
    assert "Memory is full in about 17 min" in plain(finding.sentence)
    assert "keys are evicted (allkeys-lru)" in finding.sentence
    assert not sentences(seen(recent=lately(gained=1 * MB)), "warning")


def test_growth_across_a_restart_or_within_seconds_says_nothing() -> None:
    assert not sentences(seen(recent=lately(gained=10 * MB, restarted=True)), "warning")
    assert not sentences(seen(recent=lately(gained=10 * MB, seconds=10)), "warning")


def test_keys_that_never_expire_weigh_by_what_the_policy_does() -> None:
    assert "31 % of the keys never expire (310 of 1 k)." in sentences(seen(one(keys_with_ttl=690)), "info")
    without_limit = sentences(seen(one(keys_with_ttl=690, maxmemory=0)), "warning")
    assert "31 % of the keys never expire (310 of 1 k)." in without_limit


def test_fragmentation_counts_only_when_it_is_much() -> None:
    assert not sentences(seen(one(used_memory_rss=120 * MB)), "warning")
    big = one(used_memory=400 * MB, used_memory_rss=640 * MB, maxmemory=1024 * MB)
    finding = only(seen(big), "warning")
    assert plain(finding.sentence).startswith("240 MB are lost to fragmentation: the process holds 1.6 times")


def test_data_swapped_out_is_critical() -> None:
    swapped = one(used_memory=500 * MB, used_memory_rss=300 * MB, maxmemory=1024 * MB)
    assert plain(only(seen(swapped), "critical").sentence).startswith("200 MB of the data are not in memory")


# State


def test_a_restart_within_five_minutes_is_told() -> None:
    assert "Started 2 min ago:" in plain(only(seen(one(uptime_in_seconds=120)), "warning").sentence)


def test_loading_is_critical_and_says_how_long() -> None:
    loading = one(loading=1, loading_loaded_perc=43, loading_eta_seconds=12)
    assert "43 % done, about 12 s left" in plain(only(seen(loading), "critical").sentence)


def test_a_failed_snapshot_and_append_file_are_critical() -> None:
    assert "MISCONF" in only(seen(one(rdb_ok=0)), "critical").sentence
    assert "append-only" in only(seen(one(aof_ok=0)), "critical").sentence


def test_a_replica_is_named_as_such_and_critical_when_cut_off() -> None:
    assert "This address is a replica" in only(seen(one(primary=0, primary_link=1)), "info").sentence
    assert "link to the primary is down" in only(seen(one(primary=0, primary_link=0)), "critical").sentence


def test_replicas_that_lag_or_are_missing_are_told() -> None:
    lagging = one(connected_slaves=1, replicas_online=1, replica_lag=14)
    assert "14 s behind" in plain(only(seen(lagging), "warning").sentence)
    missing = one(connected_slaves=2, replicas_online=1)
    assert "1 replica not in sync" in only(seen(missing), "warning").sentence


def test_denied_commands_are_listed() -> None:
    finding = only(
        seen(denied={"CONFIG SET": "not allowed for this user", "EVAL": "not allowed for this user"}), "info"
    )
    assert finding.sentence == "Not available here: CONFIG SET, EVAL."
    assert "not allowed for this user" in finding.advice


# Without samples


def test_stale_samples_ask_for_the_worker_and_nothing_else_is_said() -> None:
    found = findings(seen(one(at=NOW - 14, rdb_ok=0)))
    assert [plain(finding.sentence) for finding in found] == ["No sample for 14 s: is the worker running?"]
    assert found[0].level == "critical"


def test_stale_samples_with_trouble_say_what_it_is() -> None:
    found = findings(seen(one(at=NOW - 14), trouble=("demo cannot be reached.", "Check it.")))
    assert found[0] == Finding("critical", "demo cannot be reached.", "Check it.", None, "no-samples", "state")
    assert "No sample for 14 s" in plain(found[1].sentence)


def test_one_late_sample_is_not_stale() -> None:
    assert not seen(one(at=NOW - 5.9)).stale
    assert seen(one(at=NOW - 6.1)).stale


def test_no_sample_at_all_is_a_warning_only() -> None:
    assert sentences(seen(latest=[]), "warning") == ["No sample yet: is the worker running?"]


# Clusters


def three(*readings: Reading) -> Picture:
    return picture(NOW, 2.0, readings, {reading.node: lately() for reading in readings}, {})


def test_in_a_cluster_the_primary_is_named() -> None:
    found = three(one("a:1"), one("b:1", rdb_ok=0), one("c:1"))
    assert "(RDB) failed on b:1" in only(found, "critical").sentence
    found = three(one("a:1", rdb_ok=0), one("b:1", rdb_ok=0), one("c:1"))
    assert "(RDB) failed on 2 of 3 primaries" in only(found, "critical").sentence
    found = three(*(one(node, rdb_ok=0) for node in ("a:1", "b:1", "c:1")))
    assert "(RDB) failed on all 3 primaries" in only(found, "critical").sentence


def test_a_silent_primary_is_critical_and_left_out_of_the_total() -> None:
    found = three(one("a:1"), one("b:1"), one("c:1", at=NOW - 20))
    assert plain(only(found, "critical").sentence) == "No answer from c:1 for 20 s; totals leave it out."
    assert found.whole is not None
    assert found.whole.get("keys") == 2000


def test_a_primary_that_left_long_ago_is_forgotten() -> None:
    found = three(one("a:1"), one("b:1"), one("c:1", at=NOW - 1000))
    assert not sentences(found, "critical")


def test_the_total_of_a_cluster_names_its_fullest_primary() -> None:
    found = three(one("a:1"), one("b:1", used_memory=50 * MB, used_memory_rss=60 * MB))
    assert "Memory: 80 MB of 128 MB (62.5 %, the fullest primary 78.1 %), nothing evicted lately." in sentences(found)


# The sentence on top, and its words


def test_the_answer_counts_what_needs_attention() -> None:
    bad, odd = Finding("critical", "x."), Finding("warning", "y.")
    assert answer((bad, odd)) == "1 problem needs attention now, 1 more worth a look."
    assert answer((bad, bad)) == "2 problems need attention now."
    assert answer((odd,)) == "Working; 1 thing is worth a look."


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (count(0), "0"),
        (count(0.4), "0.4"),
        (count(999), "999"),
        (count(1204), "1.2 k"),
        (count(10.1e6), "10.1 M"),
        (count(999_960), "1 M"),
        (size(312), "312 B"),
        (size(64 * MB), "64 MB"),
        (size(1536), "1.5 kB"),
        (percent(0.931), "93.1 %"),
        (percent(1), "100 %"),
        (percent(0.9999), "over 99.9 %"),
        (percent(0.0001), "under 0.1 %"),
        (span(0.34), "340 ms"),
        (span(45), "45 s"),
        (span(300), "5 min"),
        (span(7200), "2 h"),
        (span(864000), "10 days"),
        (number_of(1, "client"), "1 client"),
        (number_of(12, "client"), "12 clients"),
    ],
)
def test_numbers_read_as_words(text: str, wanted: str) -> None:
    assert plain(text) == wanted
