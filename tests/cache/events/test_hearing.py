"""One subscription, many watchers: everything is delivered or counted as lost, and a gap is told as a gap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from dashboard.cache.errors import Denied
from dashboard.cache.events import hearing as hearings
from dashboard.cache.events.buffer import Buffer
from dashboard.cache.events.event import Event, Gap
from dashboard.cache.events.hearing import Hearing
from dashboard.cache.events.hub import Hub
from dashboard.cache.events.looks import MOST_SIEVES, Over, TooMany
from dashboard.cache.events.meter import Meter
from dashboard.cache.events.sieve import Sieve
from dashboard.cache.events.subscription import Subscription, from_pairs
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.programs import wait_until
from tests.servers import Server, running

OPEN = Sieve()


@pytest.fixture
def shop(valkey: Server) -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        yield cache


@pytest.fixture
def hub() -> Iterator[Hub]:
    with closing(Hub()) as hub:
        yield hub


def to(*pairs: tuple[str, str]) -> Subscription:
    return from_pairs(pairs)


@contextmanager
def heard(hub: Hub, cache: Cache, subscription: Subscription, sieve: Sieve = OPEN) -> Iterator[tuple[Hearing, Buffer]]:
    """Watching, from when something is really listened to."""
    with hub.watching(cache, subscription, sieve) as (hearing, buffer):
        assert hearing.settled(60)
        yield hearing, buffer


def payloads(buffer: Buffer) -> list[bytes]:
    return [one.payload for one in buffer.kept() if isinstance(one, Event)]


def gaps(buffer: Buffer) -> list[Gap]:
    return [one for one in buffer.kept() if isinstance(one, Gap)]


def test_what_is_told_is_kept_once_for_all_who_watch(shop: Cache, valkey: Server, hub: Hub) -> None:
    with ExitStack() as stack:
        found = [stack.enter_context(heard(hub, shop, to(("channel", "inv"), ("pattern", "n:*")))) for _ in range(20)]
        assert len({id(hearing) for hearing, _ in found}) == 1
        assert len({id(buffer) for _, buffer in found}) == 1
        with valkey.client() as client:
            assert client.publish("inv", b"\xff1") == 1, "one connection, however many watch"
            client.publish("n:2", "two")
        buffer = found[0][1]
        wait_until(lambda: buffer.passed == 2, "both came")
        first, second = buffer.kept()
        assert isinstance(first, Event)
        assert isinstance(second, Event)
        assert (first.source, first.channel, first.payload, first.pattern) == ("channel", b"inv", b"\xff1", b"")
        assert (second.source, second.channel, second.payload, second.pattern) == ("pattern", b"n:2", b"two", b"n:*")
        assert first.node.endswith(str(valkey.port))
        wait_until(lambda: found[0][0].standing.watchers == 20, "the watchers are counted")


def test_a_slow_watcher_loses_what_it_is_told_and_the_fast_one_nothing(shop: Cache, valkey: Server, hub: Hub) -> None:
    most, sent = 50, 20_000
    with heard(hub, shop, to(("channel", "inv"))) as (_, buffer):
        seen: dict[str, int] = {}
        slow_may_go, done = threading.Event(), threading.Event()

        def watch(name: str, ready: Callable[[], object]) -> None:
            after = shown = lost = skipped = 0
            while True:
                ready()
                buffer.wait(after, 0.2)
                batch = buffer.batch(after, most)
                after, shown = batch.upto, shown + len(batch.items)
                lost, skipped = lost + batch.lost, skipped + batch.skipped
                if done.is_set() and after == buffer.passed:
                    seen[name] = shown + lost + skipped
                    seen[f"{name} lost"] = lost
                    return

        threads = [
            threading.Thread(target=watch, args=("fast", lambda: None)),
            threading.Thread(target=watch, args=("slow", lambda: slow_may_go.wait(60))),
        ]
        for thread in threads:
            thread.start()
        with valkey.client() as client:
            pipe = client.pipeline(transaction=False)
            for start in range(0, sent, 500):
                for number in range(start, start + 500):
                    pipe.publish("inv", number)
                pipe.execute()
                # As long as the fast one is not told, nothing more is sent: it keeps up by construction.
                wait_until(lambda upto=start + 500: buffer.batch(0, 1).upto >= upto, "they were told of")
        done.set()
        slow_may_go.set()
        for thread in threads:
            thread.join(60)
    assert seen["fast"] == seen["slow"] == sent
    assert seen["slow lost"] >= sent - 2 * hearings.KEPT
    assert seen["slow lost"] > seen["fast lost"]


def test_what_a_sieve_lets_through_has_numbers_of_its_own(shop: Cache, valkey: Server, hub: Hub) -> None:
    everything = to(("pattern", "*"))
    with heard(hub, shop, everything) as (_, all_of_it), valkey.client() as client:
        client.publish("a", "before: Needle")
        client.publish("b", "hay")
        wait_until(lambda: all_of_it.passed == 2, "both came")
        with heard(hub, shop, everything, Sieve(text=b"needle")) as (_, few):
            assert payloads(few) == [b"before: Needle"], "it begins with what is kept"
            for number in range(50):
                client.publish("hay", number)
            client.publish("b", "NEEDLE")
            wait_until(lambda: few.passed == 2, "what passes came")
            wait_until(lambda: all_of_it.passed == 53, "and everything to the other")
            assert payloads(few) == [b"before: Needle", b"NEEDLE"]


def test_a_server_that_goes_and_comes_leaves_a_gap_and_is_heard_again(hub: Hub) -> None:
    with (
        running() as server,
        closing(Cache(parse_target(f"shop={server.url}"))) as cache,
        heard(hub, cache, to(("channel", "inv"))) as (hearing, buffer),
    ):
        server.stop()
        wait_until(lambda: bool(hearing.standing.silent), "it is said that nothing is heard")
        assert hearing.standing.heard == ()
        server.restart()
        wait_until(lambda: len(hearing.standing.heard) == 1, "it is heard again")
        with server.client() as client:
            client.publish("inv", "again")
        wait_until(lambda: payloads(buffer) == [b"again"], "what is told now comes")
        begun, over = gaps(buffer)
        assert (begun.over, over.over) == (False, True)
        assert begun.at <= over.since + 1
        assert over.since <= over.at
        assert begun.why


def test_a_flood_is_counted_whole(shop: Cache, valkey: Server, hub: Hub) -> None:
    sent = 100_000
    with heard(hub, shop, to(("channel", "inv"))) as (hearing, buffer), valkey.client() as client:
        client.eval("for n = 1, ARGV[1] do redis.call('PUBLISH', 'inv', n) end", 0, sent)
        wait_until(lambda: buffer.passed == sent, "all of them passed")
        assert payloads(buffer)[-1] == b"100000"
        assert len(buffer.kept()) == hearings.KEPT
        wait_until(lambda: hearing.standing.total == sent, "the meter has them")
        assert hearing.standing.busiest[0].name == b"inv"
        assert hearing.standing.busiest[0].count == sent


def test_large_payloads_and_names_are_cut_and_their_size_is_known(shop: Cache, valkey: Server, hub: Hub) -> None:
    with heard(hub, shop, to(("pattern", "*"))) as (_, buffer), valkey.client() as client:
        client.publish("c" * 100_000, b"x" * 10_000_000)
        wait_until(lambda: buffer.passed == 1, "it came")
        (found,) = buffer.kept()
        assert isinstance(found, Event)
        assert (len(found.payload), found.size, len(found.channel)) == (2048, 10_000_000, 2048)
        assert found.cut


def test_client_side_caching_and_notifications_tell_of_keys(shop: Cache, valkey: Server, hub: Hub) -> None:
    with valkey.client() as client:
        client.config_set("notify-keyspace-events", "KEA")
        wanted = to(("tracking", "api:"), ("event", "set"), ("key", "api:*"))
        with heard(hub, shop, wanted) as (_, buffer):
            client.set("api:1", "v")
            client.flushall()
            wait_until(lambda: buffer.passed >= 4, "all of it came")
            told = [
                (one.source, one.key, one.happened, one.everything) for one in buffer.kept() if isinstance(one, Event)
            ]
            assert ("tracking", b"api:1", b"", False) in told
            assert ("event", b"api:1", b"set", False) in told
            assert ("key", b"api:1", b"set", False) in told
            assert ("tracking", None, b"", True) in told


def test_a_channel_that_is_denied_is_named(valkey: Server, hub: Hub) -> None:
    with valkey.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ear", "on", ">secret", "+@all", "~*", "resetchannels", "&inv")
        url = valkey.url.replace("redis://", "redis://ear:secret@")
        try:
            with closing(Cache(parse_target(f"shop={url}"))) as cache:
                with heard(hub, cache, to(("channel", "inv"), ("channel", "orders"))) as (hearing, _):
                    wait_until(lambda: bool(hearing.standing.refusals), "it is said what is refused")
                    assert "orders" in hearing.standing.refusals[0][1].error.sentence
                with heard(hub, cache, to(("channel", "orders"))) as (hearing, _):
                    wait_until(lambda: bool(hearing.standing.silent), "it is said what is refused")
                    error = hearing.standing.silent[0].error
                    assert isinstance(error, Denied)
                    assert "orders" in error.sentence
        finally:
            admin.execute_command("ACL", "DELUSER", "ear")


def test_a_node_that_hangs_is_lost_and_a_thread_is_not(hub: Hub) -> None:
    import signal

    with running() as server, closing(Cache(parse_target(f"shop={server.url}?timeout=0.3"))) as cache:
        with heard(hub, cache, to(("channel", "inv"))) as (hearing, buffer):
            server.process.send_signal(signal.SIGSTOP)
            wait_until(lambda: bool(hearing.standing.silent), "it does not answer")
            server.process.send_signal(signal.SIGCONT)
            wait_until(lambda: not hearing.standing.silent, "it answers")
            assert [one.over for one in gaps(buffer)] == [False, True]
        threads = [one for one in threading.enumerate() if one.name.startswith("hearing")]
        hub.close()
        wait_until(lambda: not any(one.is_alive() for one in threads), "no thread is left")


def test_it_ends_when_nobody_watches_and_begins_anew(shop: Cache, valkey: Server) -> None:
    hearing = Hearing(shop, to(("channel", "inv")), linger=0.05)
    hearing.start()
    with hearing.watching(Sieve()), hearing.watching(Sieve(text=b"x")) as buffer:
        assert hearing.settled(60)
        assert not hearing.over
    wait_until(lambda: hearing.over, "it has ended")
    with pytest.raises(Over), hearing.watching(Sieve()):
        pass
    wait_until(lambda: buffer.closed, "and who still waits is told")
    with valkey.client() as client:
        wait_until(lambda: client.pubsub_numsub("inv")[0][1] == 0, "the connection is closed")


def test_there_is_a_bound_to_subscriptions_and_to_sieves(shop: Cache) -> None:
    with closing(Hub(most=2)) as hub, ExitStack() as stack:
        stack.enter_context(hub.watching(shop, to(("channel", "a")), Sieve()))
        with (
            hub.watching(shop, to(("channel", "b")), Sieve()),
            pytest.raises(TooMany),
            hub.watching(shop, to(("channel", "c")), Sieve()),
        ):
            pass
        # Nobody watches the second any more: it gives way.
        stack.enter_context(hub.watching(shop, to(("channel", "c")), Sieve()))
        for number in range(MOST_SIEVES - 1):
            stack.enter_context(hub.watching(shop, to(("channel", "a")), Sieve(text=b"%d" % number)))
        with pytest.raises(TooMany), hub.watching(shop, to(("channel", "a")), Sieve(text=b"more")):
            pass


def test_the_meter_counts_by_the_second() -> None:
    meter = Meter(100.0)
    meter.add([b"a", b"a", b""], 3, 30)
    assert not meter.tick(100.9)
    assert meter.tick(101.1)
    assert (meter.rate, meter.byte_rate, meter.seconds) == (3, 30, (3,))
    meter.add([b"b"] * 10, 10, 100)
    assert meter.tick(104.5), "three seconds were closed late, and nothing is forgotten"
    assert meter.seconds == (3, 3, 3, 4)
    assert (meter.total, meter.bytes) == (13, 130)
    assert [(one.name, one.count) for one in meter.busiest(5)] == [(b"b", 10), (b"a", 2)]
