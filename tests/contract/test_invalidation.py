"""An invalidation touches the keys that it says, as it says, counts every one, and can be taken back; on one server and
on many, by scripts and without."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from dashboard.cache.errors import ReadOnlyCache, TooMany
from dashboard.cache.invalidation import plan as planning
from dashboard.cache.invalidation.acting import BY_COMMANDS, BY_SCRIPT
from dashboard.cache.invalidation.mode import Gently, Mode, Now, Paced, Stale
from dashboard.cache.invalidation.plan import plan
from dashboard.cache.invalidation.run import Options, invalidate
from dashboard.cache.invalidation.task import Task, Tell
from dashboard.cache.reading.keeping import Kept
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.capability import Capabilities
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.walk import Batch, walk
from tests.cache.invalidating import FAST, Memory, done, now_ms, undone
from tests.contract.sites import Site
from tests.programs import wait_until

MANY = 3000
STEPS = Options(Budget(share=1.0, first_count=20, hold_ms=0.05), every=0.0)
SHOP = Selection(b"shop:*")


@pytest.fixture(params=["by a script", "by commands"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of doing it; the second as on a server where no script may be run."""
    if request.param == "by a script":
        return BY_SCRIPT
    able = Capabilities.can
    monkeypatch.setattr(
        Capabilities, "can", lambda self, command: not command.startswith("EVAL") and able(self, command)
    )
    return BY_COMMANDS


def _names(count: int = MANY, prefix: bytes = b"shop") -> list[bytes]:
    return [b"%s:%d" % (prefix, number) for number in range(count)]


def _expiries(site: Site, names: Sequence[bytes]) -> list[int]:
    """Milliseconds since 1970, -1 for none, -2 for gone."""
    pipe = site.plain.pipeline(transaction=False)
    for name in names:
        pipe.pexpiretime(name)
    return list(pipe.execute())


def _left(site: Site) -> int:
    return sum(int(str(size)) for size in site.each("DBSIZE"))


@pytest.mark.parametrize("vault", [True, False])
@pytest.mark.parametrize("mode", [Now(), Paced(1_000_000)])
def test_it_removes_these_keys_and_no_others(site: Site, shop: Cache, way: str, mode: Mode, vault: bool) -> None:
    site.fill([*_names(), *_names(500, b"other")])
    safe = Memory()
    found = done(shop, Task(SHOP, mode, vault), safe)
    assert (found.counts.found, found.counts.removed, found.counts.gone) == (MANY, MANY, 0)
    assert found.progress.complete
    assert _left(site) == 500
    assert found.method == (way if vault else "UNLINK")
    assert safe.names == (set(_names()) if vault else set())


def test_it_gives_them_back_as_they_were(site: Site, shop: Cache, way: str) -> None:
    names = _names()
    site.fill(names[:1000])
    site.fill(names[1000:], ttl=5000)
    before = _expiries(site, names)
    task, safe = Task(SHOP), Memory()
    done(shop, task, safe)
    found = undone(shop, task, safe)
    assert (found.restored, found.newer, found.refused) == (MANY, 0, {})
    after = _expiries(site, names)
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) <= 100
    again = undone(shop, task, safe)
    assert (again.restored, again.same) == (0, MANY)


def test_it_gives_a_part_back(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names(100))
    task, safe = Task(SHOP), Memory()
    done(shop, task, safe)
    found = undone(shop, task, safe, b"shop:1?")
    assert (found.restored, found.other) == (10, 90)
    assert _left(site) == 10


def test_it_overwrites_nothing_that_came_to_exist_since(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names(50))
    task, safe = Task(SHOP), Memory()
    done(shop, task, safe)
    site.fill([b"shop:7"], b"new")
    found = undone(shop, task, safe)
    assert (found.restored, found.newer, [one.name for one in found.named]) == (49, 1, ["shop:7"])
    assert site.plain.get("shop:7") == b"new"


@pytest.mark.parametrize("mode", [Gently(1000), Stale(900)])
def test_it_lowers_ttls_and_raises_none(site: Site, shop: Cache, way: str, mode: Gently | Stale) -> None:
    names = _names()
    site.fill(names[:1000])
    site.fill(names[1000:2000], ttl=5000)
    site.fill(names[2000:], ttl=1)
    site.plain.pexpire("shop:2999", 500_000)
    before, begun = _expiries(site, names), now_ms()
    found = done(shop, Task(SHOP, mode), Memory())
    after = _expiries(site, names)
    latest = now_ms() + mode.seconds * 1000
    for was, now in zip(before, after, strict=True):
        assert now == -2 or begun <= now <= latest
        assert was == -1 or now <= was
    assert found.counts.lowered + found.counts.unchanged + found.counts.gone == found.counts.found
    assert found.counts.lowered >= 2000
    assert sum(found.expiry) == found.counts.lowered


def test_a_lowering_is_taken_back_where_keys_are_there_and_where_they_have_expired(
    site: Site, shop: Cache, way: str
) -> None:
    names = _names(400)
    site.fill(names[:200])
    site.fill(names[200:], ttl=5000)
    before = _expiries(site, names)
    task, safe = Task(SHOP, Stale(2.0)), Memory()
    done(shop, task, safe)
    assert site.plain.persist("shop:3"), "a slow machine was too late for it"
    wait_until(lambda: sum(expiry == -2 for expiry in _expiries(site, names)) >= 399, "the keys to expire")
    task_b, safe_b = Task(Selection(b"late:*"), Stale(600)), Memory()
    site.fill(_names(100, b"late"))
    done(shop, task_b, safe_b)
    assert undone(shop, task, safe).restored == 399
    assert undone(shop, task_b, safe_b).retimed == 100
    assert set(_expiries(site, _names(100, b"late"))) == {-1}
    after = _expiries(site, names)
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) <= 100


def test_what_is_written_in_the_last_moment_is_kept_as_it_was_written(site: Site, shop: Cache, way: str) -> None:
    """Between being kept and being removed: the vault has the last value, and not the one before it."""
    site.fill(_names(50))
    written = []

    def write(records: Sequence[Kept]) -> None:
        if not written:
            written.append(records[0].key)
            site.plain.set(records[0].key, b"the last value")

    task, safe = Task(SHOP), Memory(write)
    found = done(shop, task, safe)
    assert (found.counts.found, found.counts.removed, found.counts.kept) == (50, 50, 51)
    assert undone(shop, task, safe).restored == 50
    assert site.plain.get(written[0]) == b"the last value"


def test_a_key_that_is_written_to_all_the_time_is_left_and_named(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names(20))

    def write(records: Sequence[Kept]) -> None:
        site.plain.incr("counter")
        if any(record.key == b"shop:5" for record in records):
            site.plain.set("shop:5", site.plain.get("counter"))

    found = done(shop, Task(SHOP), Memory(write))
    assert (found.counts.removed, found.counts.refused) == (19, 1)
    assert [one.name for one in found.named] == ["shop:5"]
    assert site.plain.exists("shop:5")


def test_a_key_that_no_longer_meets_the_conditions_is_left(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names(20))
    given = []

    def give_it_a_ttl(records: Sequence[Kept]) -> None:
        if not given:
            given.append(site.plain.expire("shop:5", 500))

    found = done(shop, Task(Selection(b"shop:*", ttl="none")), Memory(give_it_a_ttl))
    assert (found.counts.removed, found.counts.gone) == (19, 1)
    assert site.plain.exists("shop:5")


def test_keys_that_are_too_large_are_left_and_named(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names(20))
    site.plain.set("shop:3", b"x" * 200_000)
    found = done(shop, Task(SHOP), Memory(), replace(FAST, largest=100_000))
    assert (found.counts.removed, found.counts.too_large) == (19, 1)
    assert [one.name for one in found.named] == ["shop:3"]


def test_large_values_are_kept_in_frames_of_a_few_megabytes(site: Site, shop: Cache, way: str) -> None:
    for number in range(12):
        site.plain.set(f"shop:{number}", bytes([number]) * 900_000 + bytes(range(256)) * 400)
    site.each("CONFIG", "SET", "rdbcompression", "no")
    try:
        task, safe = Task(SHOP), Memory()
        done(shop, task, safe)
        assert len(safe.held) >= 3
        assert max(sum(len(record.dump) for record in frame) for frame in safe.held) < 10_000_000
        assert undone(shop, task, safe).restored == 12
    finally:
        site.each("CONFIG", "SET", "rdbcompression", "yes")


def test_listed_keys_are_done_and_missing_ones_are_no_keys(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names(300))
    wanted = (*_names(200), b"nobody", b"\xff\x00")
    found = done(shop, Task(Selection(keys=wanted)))
    assert (found.counts.found, found.counts.removed) == (200, 200)
    assert _left(site) == 100


def test_a_pattern_without_wildcards_names_one_key_and_needs_no_search(site: Site, shop: Cache) -> None:
    site.fill([*_names(300), b"q[1]"])
    shop.capabilities()  # which asks for a SCAN
    site.forget_calls()
    assert done(shop, Task(Selection(b"q\\[1\\]"))).counts.removed == 1
    assert "scan" not in site.calls()


def test_every_end_before_the_end_says_what_was_done(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names())
    safe = Memory()
    running = invalidate(shop, Task(SHOP), safe, STEPS)
    last = None
    for last in running:
        if last.counts.removed > 100:
            break
    running.close()  # type: ignore[attr-defined]
    assert last is not None
    assert 0 < last.counts.removed < MANY
    assert _left(site) == MANY - last.counts.removed
    assert safe.standing.counts.removed == last.counts.removed


def test_it_goes_on_where_it_stood(site: Site, shop: Cache, way: str) -> None:
    site.fill(_names())
    safe, removed = Memory(), []
    for _ in range(200):
        running = invalidate(shop, Task(SHOP), safe, STEPS)
        last = next(found for found in running if found.counts.removed > (removed or [0])[-1] or found.progress.ended)
        running.close()  # type: ignore[attr-defined]
        removed.append(last.counts.removed)
        if last.progress.ended or len(removed) > 5:
            break
    assert removed == sorted(removed)
    last = done(shop, Task(SHOP), safe)
    assert (last.counts.found, last.counts.removed, last.counts.unsure) == (MANY, MANY, 0)
    assert _left(site) == 0
    assert undone(shop, Task(SHOP), safe).restored == MANY


def test_what_has_ended_is_not_done_again(site: Site, shop: Cache) -> None:
    site.fill(_names(100))
    safe = Memory()
    done(shop, Task(SHOP), safe)
    site.fill(_names(50))
    assert done(shop, Task(SHOP), safe).counts.removed == 100
    assert _left(site) == 50


def test_it_stops_before_more_keys_than_were_allowed(site: Site, shop: Cache) -> None:
    site.fill(_names(500))
    with pytest.raises(TooMany, match="more than the 200 keys"):
        done(shop, Task(SHOP), options=replace(STEPS, most=200))
    assert _left(site) >= 300


def test_it_keeps_the_pace(site: Site, shop: Cache) -> None:
    site.fill(_names(60))
    begun = time.monotonic()
    found = done(shop, Task(SHOP, Paced(100)))
    assert found.counts.removed == 60
    assert time.monotonic() - begun >= 0.4  # 60 keys at 100 a second, less the first portion


def _keys_of(heard: list[dict[str, object]]) -> list[str]:
    return [str(key) for message in heard for key in message.get("keys", [])]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("per", "least", "most"), [("key", 30, 30), ("batch", 1, 10), ("pattern", 1, 1)])
def test_it_tells_the_applications(site: Site, shop: Cache, way: str, per: str, least: int, most: int) -> None:
    site.fill([*_names(29), b"shop:\xff"])
    heard: list[dict[str, object]] = []
    with _listening(site, heard):
        found = done(shop, Task(SHOP, tell=Tell("invalidate", per)), options=replace(FAST, number=184))
        wait_until(lambda: len(heard) > least and (per == "pattern" or len(_keys_of(heard)) >= 30), "the messages")
    # Of a cluster, messages by different primaries come in any order.
    assert sum(message["type"] == "begin" for message in heard) == 1
    told = [message for message in heard if message["type"] != "begin"]
    assert least <= len(told) <= most
    assert all(message["invalidation"] == 184 and message["v"] == 1 for message in told)
    if per == "pattern":
        assert told == [{"v": 1, "type": "selection", "invalidation": 184, "cache": "shop", "pattern": "shop:*",
                         "filters": {}}]  # fmt: skip
    else:
        assert sorted(_keys_of(told)) == sorted(
            [*(f"shop:{number}" for number in range(29)), str({"base64": "c2hvcDr/"})]
        )
        assert found.counts.messages == len(told)


class _listening:  # noqa: N801  (reads as what it is)
    """Collects what is published to `invalidate`, on each primary: in a cluster all of them hear all."""

    def __init__(self, site: Site, heard: list[dict[str, object]]) -> None:
        self._heard = heard
        self._client = site.servers[0].client()
        self._subscribed = self._client.pubsub(ignore_subscribe_messages=True)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> None:
        self._subscribed.subscribe("invalidate")
        self._subscribed.get_message(timeout=60)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            message = self._subscribed.get_message(timeout=0.05)
            if message:
                self._heard.append(json.loads(message["data"]))

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._subscribed.close()
        self._client.close()


def test_a_plan_says_what_it_is_about_and_changes_nothing(site: Site, shop: Cache) -> None:
    site.fill([*_names(300), *_names(100, b"other")], b"v" * 50)
    last = list(plan(shop, Task(SHOP)))[-1]
    assert (last.report.keys.exact, last.report.keys.value) == (True, 300)
    assert len(last.examples) == 10
    assert all(name.startswith("shop:") for name in last.examples)
    assert len(last.hottest) == 10
    assert last.vault is not None
    assert 300 < last.vault.value < 300 * 200
    assert _left(site) == 400


def test_a_plan_of_few_keys_among_many_knows_what_the_vault_takes(
    site: Site, shop: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first look has met none of them: else nobody is told beforehand that they do not fit."""
    looks: list[Selection] = []

    def met(cache: Cache, selection: Selection, budget: Budget) -> Iterator[Batch]:
        looks.append(selection)
        return iter(()) if len(looks) == 1 else walk(cache, selection, budget)

    monkeypatch.setattr(planning, "walk", met)
    site.fill([*_names(12), *_names(300, b"other")], b"v" * 50)
    last = list(plan(shop, Task(SHOP)))[-1]
    assert last.vault is not None
    assert 12 < last.vault.value < 12 * 200
    assert len(last.examples) == 10


def test_a_plan_of_listed_keys_counts_those_that_exist(site: Site, shop: Cache) -> None:
    site.fill(_names(30))
    last = list(plan(shop, Task(Selection(keys=(*_names(20), b"nobody")))))[-1]
    assert (last.report.keys.exact, last.report.keys.value) == (True, 20)


def test_a_cache_that_is_only_looked_at_is_planned_but_not_touched(site: Site, only_looking: Cache) -> None:
    site.fill(_names(10))
    assert list(plan(only_looking, Task(SHOP)))[-1].report.keys.value == 10
    with pytest.raises(ReadOnlyCache):
        done(only_looking, Task(SHOP))
    assert _left(site) == 10


@pytest.fixture(autouse=True)
def _default_settings(site: Site) -> Iterator[None]:
    yield
    site.each("CONFIG", "SET", "rdbcompression", "yes")
