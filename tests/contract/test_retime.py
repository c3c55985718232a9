"""A retiming changes the keys that it says, as it says, and counts every one; on one server and on many."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from dashboard.cache.analysis.slots import SECONDS_END, slot_of
from dashboard.cache.errors import ReadOnlyCache
from dashboard.cache.retiming import run as retiming
from dashboard.cache.retiming.change import Change, IntoRange, Jitter
from dashboard.cache.retiming.run import BY_COMMANDS, BY_SCRIPT, Options, plan, retime
from dashboard.cache.retiming.tally import Done, Plan
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.governor import Budget
from tests.contract.sites import Site

FAST = Options(Budget(share=1.0), every=0.0)
STEPS = Options(Budget(share=1.0, first_count=20, hold_ms=0.05), every=0.0)
MANY = 3000


@pytest.fixture(params=["by a script", "by commands"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of doing it; the second as on a server where no script may be run."""
    if request.param == "by a script":
        return BY_SCRIPT
    able = retiming._Walk.__init__

    def unable(self: object, cache: Cache, selection: Selection, change: Change, _: str, **more: bool) -> None:
        able(self, cache, selection, change, "", **more)  # type: ignore[arg-type]

    monkeypatch.setattr(retiming._Walk, "__init__", unable)
    return BY_COMMANDS


def _names(prefix: bytes, count: int = MANY) -> list[bytes]:
    return [b"%s:%d" % (prefix, number) for number in range(count)]


def _expire_at(site: Site, names: list[bytes], at: float) -> None:
    """Let keys that are there expire at one instant."""
    script = "for i = 2, #ARGV do redis.call('PEXPIREAT', ARGV[i], ARGV[1]) end"
    for server in site.servers:
        mine = [name for name in names if site._port_of(name) == server.port]
        with server.client() as client:
            client.execute_command("EVAL", script, 0, round(at * 1000), *mine)


def _expiries(site: Site, names: list[bytes]) -> list[int]:
    """Milliseconds since 1970, -1 for none, -2 for gone."""
    pipe = site.plain.pipeline(transaction=False)
    for name in names:
        pipe.pexpiretime(name)
    return list(pipe.execute())


def _planned(cache: Cache, selection: Selection, change: Change) -> Plan:
    *_, last = plan(cache, selection, change, FAST)
    return last


def _done(cache: Cache, selection: Selection, change: Change, options: Options = FAST) -> Done:
    *_, last = retime(cache, selection, change, options)
    return last


class TestJitter:
    def test_it_spreads_a_cliff_evenly_within_its_reach(self, shop: Cache, site: Site, way: str) -> None:
        names, at = _names(b"c"), int(time.time()) + 2000
        site.fill(names, ttl=9999)
        _expire_at(site, names, at)
        done = _done(shop, Selection(b"c:*"), Jitter(300))
        assert (done.found, done.changed, done.method) == (MANY, MANY, way)
        assert done.lengthened + done.shortened >= MANY - 5  # now and then nothing is what is drawn
        after = _expiries(site, names)
        assert all((at - 300) * 1000 - 5 <= moment <= (at + 300) * 1000 + 5 for moment in after)
        # 20 cells of 150 expected: chi-square of 19 degrees of freedom is above 60 once in 200,000 runs.
        cells = Counter(min(max((moment - (at - 300) * 1000) * 20 // 600_000, 0), 19) for moment in after)
        expected = MANY / 20
        assert sum((cells[cell] - expected) ** 2 / expected for cell in range(20)) < 60

    def test_batches_and_primaries_are_not_moved_alike(self, shop: Cache, site: Site, way: str) -> None:
        names, at = _names(b"c", 400), int(time.time()) + 2000
        site.fill(names, ttl=9999)
        _expire_at(site, names, at)
        _done(shop, Selection(b"c:*"), Jitter(300), STEPS)
        assert len(set(_expiries(site, names))) > 390

    def test_the_earlier_side_lets_no_key_live_longer_and_none_die_at_once(
        self, shop: Cache, site: Site, way: str
    ) -> None:
        names = _names(b"c", 500)
        site.fill(names, ttl=30)
        before = dict(zip(names, _expiries(site, names), strict=True))
        began = time.time() * 1000
        done = _done(shop, Selection(b"c:*"), Jitter(300, direction="earlier"))
        after = dict(zip(names, _expiries(site, names), strict=True))
        assert done.changed == 500
        assert done.shortened >= 490, "a jitter of less than a millisecond shortens nothing"
        assert done.lengthened == 0
        assert all(began + 900 < after[name] <= before[name] + 5 for name in names)

    def test_keys_without_ttl_stay_without(self, shop: Cache, site: Site, way: str) -> None:
        site.fill(_names(b"n", 200))
        site.fill(_names(b"t", 100), ttl=100)
        done = _done(shop, Selection(), Jitter(10, "%"))
        assert (done.found, done.changed, done.without, done.given) == (300, 100, 200, 0)
        assert set(_expiries(site, _names(b"n", 200))) == {-1}


class TestARange:
    def test_it_brings_others_inside_and_leaves_those_that_are(self, shop: Cache, site: Site, way: str) -> None:
        below, above, without = _names(b"b", 300), _names(b"a", 300), _names(b"w", 300)
        inside = _names(b"i", 300)
        site.fill(below, ttl=60)
        site.fill(above, ttl=9999)
        site.fill(without)
        site.fill(inside, ttl=1300)
        kept = _expiries(site, inside)
        now = time.time() * 1000
        done = _done(shop, Selection(), IntoRange(900, 1800))
        assert (done.changed, done.unchanged, done.given) == (900, 300, 300)
        assert (done.lengthened, done.shortened) == (300, 300)
        moved = _expiries(site, [*below, *above, *without])
        assert all(now + 900_000 - 50 <= moment <= time.time() * 1000 + 1_800_000 for moment in moved)
        assert len(set(moved)) > 850
        assert _expiries(site, inside) == kept

    @pytest.mark.parametrize(("ttl", "prefix"), [("none", b"w"), ("<900", b"b"), (">1800", b"a")])
    def test_the_ttl_condition_chooses_which_of_them(
        self, ttl: str, prefix: bytes, shop: Cache, site: Site, way: str
    ) -> None:
        everyone = {name: _names(name, 100) for name in (b"w", b"b", b"a")}
        site.fill(everyone[b"w"])
        site.fill(everyone[b"b"], ttl=60)
        site.fill(everyone[b"a"], ttl=9999)
        before = {name: _expiries(site, names) for name, names in everyone.items()}
        done = _done(shop, Selection(ttl=ttl), IntoRange(900, 1800))
        assert (done.found, done.changed) == (100, 100)
        changed = {name for name, names in everyone.items() if _expiries(site, names) != before[name]}
        assert changed == {prefix}


class TestWhichKeys:
    def test_a_window_of_instants_takes_the_cliff_and_nothing_beside_it(
        self, shop: Cache, site: Site, way: str
    ) -> None:
        at = int(time.time()) + 5000
        cliff, beside = _names(b"k", 800), _names(b"q", 800)
        site.fill([*cliff, *beside], ttl=9999)
        _expire_at(site, cliff, at)
        _expire_at(site, beside[:400], at - 1)
        _expire_at(site, beside[400:], at + 2)
        kept = _expiries(site, beside)
        done = _done(shop, Selection(ttl=f"@{at}-{at + 1}"), Jitter(100))
        assert (done.found, done.changed) == (800, 800)
        assert _expiries(site, beside) == kept
        assert len(set(_expiries(site, cliff))) > 700

    def test_pattern_type_and_size_leave_out_the_others(self, shop: Cache, site: Site, way: str) -> None:
        site.fill(_names(b"s", 50), b"v" * 2000, ttl=500)
        site.fill(_names(b"t", 50), b"v", ttl=500)
        for number in range(20):
            site.plain.hset(f"h:{number}", "f", "v" * 2000)
            site.plain.expire(f"h:{number}", 500)
        selection = Selection(b"[sh]:*", "string", "any", ">1000")
        assert _done(shop, selection, Jitter(100)).changed == 50
        assert len(set(_expiries(site, _names(b"s", 50)))) > 40


class TestThePlan:
    def test_it_says_what_would_happen_and_changes_nothing(self, shop: Cache, site: Site, way: str) -> None:
        at = int(time.time()) + 7000
        names = _names(b"c")
        site.fill(names, ttl=9999)
        site.fill(_names(b"n", 100))
        _expire_at(site, names, at)
        made = _planned(shop, Selection(), Jitter(300))
        assert set(_expiries(site, names)) == {at * 1000}
        assert made.progress.complete
        assert (made.found.value, made.changed.value, made.without.value) == (MANY + 100, MANY, 100)
        assert made.changed.exact
        assert made.lengthened.value + made.shortened.value >= MANY - 5
        assert sum(group.keys.value for group in made.before.ttl) == MANY + 100
        assert {group.name: group.keys.value for group in made.before.ttl}["1 to 6 h"] == MANY

    def test_a_cliff_far_ahead_is_seen_by_the_second(self, shop: Cache, site: Site, way: str) -> None:
        at = int(time.time()) + 20_000
        names = _names(b"c")
        site.fill(names, ttl=99_999)
        _expire_at(site, names, at)
        made = _planned(shop, Selection(b"c:*", ttl=f"@{at}-{at + 1}"), Jitter(300))
        assert made.before.peak
        assert made.after.peak
        assert (made.before.peak.at, made.before.peak.seconds, made.before.peak.keys.value) == (at, 1, MANY)
        assert made.after.peak.seconds == 1
        assert made.after.peak.rate < MANY / 100
        assert all(slot < SECONDS_END for slot, _ in made.after.expiry.keys)

    def test_it_estimates_while_it_goes_on(self, shop: Cache, site: Site, way: str) -> None:
        site.fill(_names(b"c"), ttl=1000)
        site.fill(_names(b"n"))
        plans = list(plan(shop, Selection(), Jitter(300), STEPS))
        assert len(plans) > 3
        for made in plans[:-1]:
            assert not made.changed.exact
            assert made.changed.low <= made.changed.value <= made.changed.high
        assert plans[-1].changed == (MANY, MANY, MANY)

    def test_the_act_does_what_was_planned(self, shop: Cache, site: Site, way: str) -> None:
        site.fill(_names(b"c", 700), ttl=1000)
        site.fill(_names(b"n", 300))
        made = _planned(shop, Selection(), IntoRange(900, 950))
        done = _done(shop, Selection(), IntoRange(900, 950))
        assert (made.changed.value, made.given.value) == (done.changed, done.given) == (1000, 300)
        assert made.before.ttl[0] == done.before.ttl[0]


class TestTheSums:
    """The script does what retiming/change.py and analysis/slots.py say."""

    @pytest.mark.parametrize(
        "change",
        [
            Jitter(300),
            Jitter(90, direction="earlier"),
            Jitter(45, direction="later"),
            Jitter(25, "%"),
            Jitter(90, "%", "earlier"),
            Jitter(12.5, "%", "later"),
            IntoRange(100, 200),
            IntoRange(3600, 3600),
        ],
    )
    def test_new_ttls_fill_the_bounds_and_never_pass_them(
        self, change: Change, shop: Cache, site: Site, way: str
    ) -> None:
        groups = {ttl: _names(b"%d" % ttl, 150) for ttl in (5, 120, 2000, 50_000)}
        for ttl, names in groups.items():
            site.fill(names, ttl=ttl)
        before = {ttl: _expiries(site, names) for ttl, names in groups.items()}
        began = time.time() * 1000
        _done(shop, Selection(), change)
        took = time.time() * 1000 - began + 5
        for ttl, names in groups.items():
            bounds = change.bounds_ms(ttl * 1000)
            if bounds is None:
                assert _expiries(site, names) == before[ttl]
                continue
            after = [moment - began for moment in _expiries(site, names)]
            width = bounds[1] - bounds[0]
            assert bounds[0] - 2 * took - 1000 <= min(after)
            assert max(after) <= bounds[1] + 2 * took
            assert max(after) - min(after) >= width * 0.85 - 2 * took

    def test_slots_are_counted_alike(self, shop: Cache, site: Site, way: str) -> None:
        base = (int(time.time()) + 10) * 1000
        offsets = (0, 1, 59, 3000, 4000, 90_000, 100_000, 2_000_000, 9_000_000)
        for number, offset in enumerate(offsets):
            site.plain.set(f"k:{number}", "v", pxat=base + 1000 * offset)
        made = _planned(shop, Selection(ttl="any"), Jitter(1))
        slots = [slot for slot, keys in made.before.expiry.keys for _ in range(round(keys))]
        assert len(slots) == len(offsets)
        for slot, offset in zip(slots, offsets, strict=True):
            since = base + 1000 * offset - made.before.expiry.origin * 1000
            # Between PTTL and TIME the clock goes on, which may be a slot's edge.
            assert slot in {slot_of(since), slot_of(since + 50)}


class TestCounting:
    def test_a_cancelled_one_has_counted_what_it_did(self, shop: Cache, site: Site, way: str) -> None:
        names, at = _names(b"c"), int(time.time()) + 2000
        site.fill(names, ttl=9999)
        _expire_at(site, names, at)
        doing = retime(shop, Selection(b"c:*"), Jitter(300, direction="later"), STEPS)
        done = next(doing)
        while done.changed < MANY // 4:
            done = next(doing)
        doing.close()
        moved = sum(moment != at * 1000 for moment in _expiries(site, names))
        assert 0 < moved < MANY
        # One in 300,000 is moved by nothing.
        assert done.changed - 3 <= moved <= done.changed

    def test_keys_that_vanish_meanwhile_are_not_counted_as_changed(self, shop: Cache, site: Site, way: str) -> None:
        names = _names(b"c")
        site.fill(names, ttl=1000)
        stop = threading.Event()

        def remove() -> None:
            for name in names:
                if stop.is_set():
                    return
                site.plain.delete(name)

        remover = threading.Thread(target=remove)
        remover.start()
        done = _done(shop, Selection(b"c:*"), Jitter(300), STEPS)
        stop.set()
        remover.join(120)
        assert done.found == done.changed + done.unchanged + done.without
        assert done.changed <= MANY
        assert done.progress.ended

    def test_an_empty_cache_is_done_with_nothing(self, shop: Cache, way: str) -> None:
        done = _done(shop, Selection(), Jitter(300))
        assert (done.found, done.changed, done.progress.ended) == (0, 0, True)
        assert _planned(shop, Selection(), Jitter(300)).found == (0, 0, 0)


def test_a_read_only_cache_refuses_the_act_and_lets_the_plan_be_made(only_looking: Cache, site: Site) -> None:
    site.fill(_names(b"c", 50), ttl=1000)
    before = _expiries(site, _names(b"c", 50))
    with pytest.raises(ReadOnlyCache):
        next(retime(only_looking, Selection(), Jitter(300)))
    assert _planned(only_looking, Selection(), Jitter(300)).changed.value == 50
    assert _expiries(site, _names(b"c", 50)) == before


@pytest.fixture(autouse=True)
def _no_strays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before
