"""What a user may do here is found out exactly, in one round trip, and without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from dashboard.cache.errors import Busy, Loading, WrongPassword
from dashboard.cache.servers import connect
from dashboard.cache.servers.capability import NOT_ALLOWED, Capabilities, _questions, no_touch_is_safe
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.cache.broken import busy, loading, url_of
from tests.cache.invalidating import removed
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, running

ASKED = sorted(set(_questions(b"")) - {"UNSUBSCRIBE"})

# Each command of ours, and the ACL rule that takes exactly it away.
RULES = {
    "INFO": "-info",
    "DBSIZE": "-dbsize",
    "SCAN": "-scan",
    "TYPE": "-type",
    "PTTL": "-pttl",
    "MEMORY USAGE": "-memory|usage",
    "OBJECT": "-object",
    "UNLINK": "-unlink",
    "DEL": "-del",
    "PEXPIRE": "-pexpire",
    "DUMP": "-dump",
    "RESTORE": "-restore",
    "PUBLISH": "-publish",
    "SPUBLISH": "-spublish",
    "PERSIST": "-persist",
    "EVAL": "-eval",
    "EVAL_RO": "-eval_ro",
    "CONFIG GET": "-config|get",
    "CONFIG SET": "-config|set",
    "CLIENT": "-client|id",
    "CLIENT NO-TOUCH": "-client|no-touch",
    "LATENCY": "-latency|latest",
    "LATENCY HISTOGRAM": "-latency|histogram",
    "SLOWLOG": "-slowlog",
    "SUBSCRIBE": "-subscribe",
    "MONITOR": "-monitor",
}

Asker = Callable[[str], Capabilities]


@pytest.fixture
def allowed(valkey: Server) -> Iterator[Asker]:
    """The capabilities of a user with these ACL rules."""
    with valkey.client() as client:

        def ask(rules: str) -> Capabilities:
            client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", *rules.split())
            target = parse_target(f"shop=redis://limited:secret@{HOST}:{valkey.port}")
            with closing(Cache(target)) as cache:
                return cache.capabilities()

        yield ask
        client.execute_command("ACL", "DELUSER", "limited")


def test_this_file_knows_every_command_that_is_asked_for() -> None:
    assert sorted(RULES) == ASKED


def test_who_may_do_all_lacks_nothing(allowed: Asker) -> None:
    found = allowed("~* &* +@all")
    assert dict(found.denied) == {}
    assert all(found.can(command) for command in ASKED)


@pytest.mark.parametrize("command", RULES)
def test_exactly_what_is_denied_is_said_to_be(command: str, allowed: Asker) -> None:
    found = allowed(f"~* &* +@all {RULES[command]}")
    assert dict(found.denied) == {command: NOT_ALLOWED}
    assert not found.can(command)
    assert found.why_not(command) == f"{command}: not allowed for this user"


def test_who_may_only_read_lacks_the_rest(allowed: Asker) -> None:
    found = allowed("~* +@read +info")
    assert found.can("SCAN")
    assert found.can("TYPE")
    assert found.can("PTTL")
    assert found.can("MEMORY USAGE")
    denied = {
        "UNLINK",
        "DEL",
        "PEXPIRE",
        "PERSIST",
        "EVAL",
        "CONFIG GET",
        "CONFIG SET",
        "MONITOR",
        "SLOWLOG",
        "LATENCY",
    }
    assert denied <= set(found.denied)


def test_who_may_see_only_some_keys_may_still_run_the_commands(allowed: Asker) -> None:
    found = allowed("~app:* &* +@all")
    assert dict(found.denied) == {}


def test_who_may_do_nothing_is_told_so(allowed: Asker) -> None:
    found = allowed("~* &* -@all")
    assert set(found.denied) == set(ASKED)
    assert (found.product, found.version) == ("Redis-compatible server", "")


def test_a_valkey_is_called_valkey_with_its_own_version(valkey: Server, allowed: Asker) -> None:
    found = allowed("~* +@all")
    with valkey.client() as client:
        info = client.info("server")
    assert found.product == "Valkey"
    assert found.version == info["valkey_version"] != info["redis_version"]
    assert found.release == tuple(map(int, info["valkey_version"].split(".")))
    assert found.mode == "standalone"


def test_a_cluster_says_that_it_is_one(cluster: Cluster) -> None:
    target = parse_target(f"shop={cluster.url}")
    with closing(Cache(target)) as cache:
        assert cache.capabilities().mode == "cluster"


@pytest.mark.parametrize(
    ("product", "release", "safe"),
    [
        ("Redis", (7, 2, 0), True),
        ("redis", (7, 4, 6), True),
        ("Redis", (8, 0, 0), False),
        ("Redis", (8, 2, 3), False),
        ("Redis", (8, 4, 0), True),
        ("valkey", (8, 1, 3), False),
        ("Valkey", (9, 0, 0), True),
        ("redis", (), False),
    ],
)
def test_it_knows_whom_no_touch_would_crash(product: str, release: tuple[int, ...], safe: bool) -> None:
    assert no_touch_is_safe(product, release) is safe


def test_asking_changes_nothing_and_leaves_no_connection(valkey: Server) -> None:
    with valkey.client() as client, closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        settings = client.config_get("*")
        client.set("k", "v")
        cache.execute("PING")
        before = len(client.client_list())
        cache.capabilities()
        wait_until(lambda: len(client.client_list()) == before, "the connection that asked is closed")
        assert client.config_get("*") == settings
        assert client.keys() == [b"k"]
        assert not client.pubsub_channels()


def test_it_is_asked_once_and_kept(valkey: Server) -> None:
    with valkey.client() as client, closing(Cache(parse_target(f"shop={valkey.url}"))) as cache:
        client.config_resetstat()
        for _ in range(5):
            assert cache.capabilities().product == "Valkey"
        assert client.info("commandstats")["cmdstat_persist"]["calls"] == 1


def test_a_failure_is_no_capability_and_is_asked_again(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "late", "reset", "on", ">other", "~*", "+@all")
        target = parse_target(f"shop=redis://late:secret@{HOST}:{valkey.port}")
        with closing(Cache(target)) as cache:
            with pytest.raises(WrongPassword):
                cache.capabilities()
            client.execute_command("ACL", "SETUSER", "late", ">secret")
            with pytest.raises(WrongPassword):
                cache.capabilities()
            monkeypatch.setattr(connect, "FAILURE_SECONDS", 0.0)
            assert cache.capabilities().product == "Valkey"
        client.execute_command("ACL", "DELUSER", "late")


def test_a_command_that_the_server_does_not_have_is_not_known() -> None:
    with (
        running("--rename-command", "UNLINK", "", "--rename-command", "MONITOR", "") as server,
        closing(Cache(parse_target(f"shop={server.url}"))) as cache,
    ):
        found = cache.capabilities()
        assert dict(found.denied) == {"UNLINK": "not known to this server", "MONITOR": "not known to this server"}
        cache.execute("SET", "k", "v")
        assert removed(cache, b"k")
        with server.client() as client:
            assert client.dbsize() == 0


def test_a_busy_server_is_not_taken_for_one_that_allows_all() -> None:
    """While a script runs, every command but a few is refused with BUSY, which says nothing about permission."""
    with busy() as server, closing(Cache(parse_target(f"shop={url_of(server)}"))) as cache, pytest.raises(Busy):
        cache.capabilities()


def test_a_loading_server_is_not_taken_for_one_that_allows_all() -> None:
    with loading() as server, closing(Cache(parse_target(f"shop={url_of(server)}"))) as cache, pytest.raises(Loading):
        cache.capabilities()
