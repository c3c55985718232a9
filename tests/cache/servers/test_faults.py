"""Whatever is wrong with a server: one sentence of the right kind, soon, without a secret; and it goes on by itself."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator

import pytest

from dashboard.cache.errors import (
    Busy,
    CacheError,
    Denied,
    Loading,
    OutOfMemory,
    ReadOnlyReplica,
    TimedOut,
    Unreachable,
    WritesStopped,
    WrongPassword,
    WrongType,
)
from dashboard.cache.reading import keys
from dashboard.cache.reading.namespaces import namespaces
from dashboard.cache.reading.search import listing, search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers import connect
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.walk import Budget, walk
from tests.cache.broken import PASSWORD, busy, healthy, loading, plain, running_script, stopped, unsaved, url_of
from tests.cache.invalidating import removed
from tests.servers import HOST, Server, free_port, start

LOOKS: dict[str, Callable[[Cache], object]] = {
    "look": lambda cache: keys.look(cache, b"k"),
    "search by name": lambda cache: search(cache, Selection(b"k")),
    "search by pattern": lambda cache: search(cache, Selection(b"*")),
    "listing": lambda cache: list(listing(cache, Selection(b"*"))),
    "walk": lambda cache: list(walk(cache, Selection(), Budget())),
    "namespaces": lambda cache: namespaces(cache, b"", b":"),
    "capabilities": lambda cache: cache.capabilities(),
    "policy": lambda cache: cache.policy(),
}
ACTS: dict[str, Callable[[Cache], object]] = {
    "set_ttl": lambda cache: keys.set_ttl(cache, b"k", 10),
    "persist": lambda cache: keys.persist(cache, b"k"),
    "remove": lambda cache: removed(cache, b"k"),
}


@contextlib.contextmanager
def opened(url: str) -> Iterator[Cache]:
    with contextlib.closing(Cache(parse_target(f"shop={url}"))) as cache:
        yield cache


def refuses(cache: Cache, acts: dict[str, Callable[[Cache], object]], kind: type[CacheError], says: str) -> None:
    """Each of them fails with this kind of error, a sentence and advice, and no password."""
    for name, act in acts.items():
        with pytest.raises(CacheError) as caught:
            act(cache)
        assert type(caught.value) is kind, name
        assert says in caught.value.sentence, name
        assert caught.value.advice
        assert PASSWORD not in caught.value.sentence + caught.value.advice


def goes_on(cache: Cache) -> None:
    for look in LOOKS.values():
        look(cache)
    assert keys.look(cache, b"k")


@pytest.fixture(autouse=True)
def _no_failure_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed probe is otherwise kept for seconds, which these tests would have to wait for."""
    monkeypatch.setattr(connect, "FAILURE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    with healthy() as server:
        yield server


@pytest.fixture
def server(_server: Server) -> Server:
    """A server whose settings a test may spoil as long as it mends them."""
    with plain(_server) as client:
        client.flushall()
        client.set("k", "v", ex=1000)
    return _server


def test_a_server_that_is_down_and_comes_back() -> None:
    port = free_port()
    with opened(f"redis://:{PASSWORD}@{HOST}:{port}") as cache:
        refuses(cache, LOOKS | ACTS, Unreachable, "shop cannot be reached")
        server = start("--requirepass", PASSWORD, port=port)
        try:
            with plain(server) as client:
                client.set("k", "v")
            goes_on(cache)
        finally:
            server.stop()
        known = {"capabilities", "policy"}  # these are remembered for a while
        refuses(
            cache,
            {name: act for name, act in (LOOKS | ACTS).items() if name not in known},
            Unreachable,
            "shop cannot be reached",
        )


def test_a_name_that_nobody_knows() -> None:
    with opened(f"redis://:{PASSWORD}@no-such-host.invalid") as cache:
        refuses(cache, {"look": LOOKS["look"]}, Unreachable, "shop cannot be reached")


def test_a_wrong_password(server: Server) -> None:
    with opened(f"redis://:not-{PASSWORD}@{HOST}:{server.port}") as cache:
        refuses(cache, LOOKS | ACTS, WrongPassword, "shop refuses the user name or password")
    with opened(f"redis://nobody:{PASSWORD}@{HOST}:{server.port}") as cache:
        refuses(cache, LOOKS, WrongPassword, "shop refuses the user name or password")


def test_a_password_that_is_missing(server: Server) -> None:
    with opened(f"redis://{HOST}:{server.port}") as cache:
        refuses(cache, LOOKS | ACTS, WrongPassword, "shop wants a password and none is configured")


def test_a_password_that_is_not_wanted(valkey: Server) -> None:
    with opened(f"redis://:{PASSWORD}@{HOST}:{valkey.port}") as cache:
        refuses(cache, LOOKS, WrongPassword, "shop refuses the user name or password")


def test_what_is_denied_is_named_and_the_rest_goes_on(server: Server) -> None:
    with plain(server) as client:
        client.execute_command("ACL", "SETUSER", "bob", "reset", "on", f">{PASSWORD}", "~*", "+@read", "+info")
        with opened(f"redis://bob:{PASSWORD}@{HOST}:{server.port}") as cache:
            goes_on(cache)
            for name, command in {"set_ttl": "PEXPIRE", "persist": "PERSIST", "remove": "DEL"}.items():
                with pytest.raises(Denied, match=f"may not run {command}") as caught:
                    ACTS[name](cache)
                assert caught.value.command == command
        client.execute_command("ACL", "SETUSER", "bob", "-scan")
        with opened(f"redis://bob:{PASSWORD}@{HOST}:{server.port}") as cache:
            step = search(cache, Selection(b"*"))
            assert "may not run SCAN" in "".join(step.lost.values())
            assert not step.complete
            assert search(cache, Selection(b"k")).found == 1


def test_a_key_that_is_denied_takes_no_list_down(server: Server) -> None:
    with plain(server) as client:
        client.set("app:1", "v")
        client.execute_command("ACL", "SETUSER", "bob", "reset", "on", f">{PASSWORD}", "~app:*", "+@all")
        with opened(f"redis://bob:{PASSWORD}@{HOST}:{server.port}") as cache:
            found = {row.key: row.type for row in search(cache, Selection(b"*")).rows}
            assert found == {b"app:1": "string", b"k": ""}
            refuses(
                cache,
                {name: (LOOKS | ACTS)[name] for name in ("look", "search by name", *ACTS) if name != "remove"},
                Denied,
                "shop has no permission for this key",
            )
            assert not removed(cache, b"k")  # one of perhaps many that were named: refused by itself, not an error
            assert keys.look(cache, b"app:1")


def test_a_server_that_is_loading() -> None:
    with loading() as server, opened(url_of(server)) as cache:
        asked = {name: act for name, act in (LOOKS | ACTS).items() if name != "policy"}  # INFO is answered
        refuses(cache, asked, Loading, "shop is loading its data set from disk")


def test_a_snapshot_that_failed() -> None:
    with unsaved() as server, opened(url_of(server)) as cache:
        refuses(cache, ACTS, WritesStopped, "shop refuses writes because it could not save its data to disk")
        goes_on(cache)
        with plain(server) as client:
            client.config_set("stop-writes-on-bgsave-error", "no")
        assert removed(cache, b"k")


def test_a_server_whose_memory_is_full(server: Server) -> None:
    with plain(server) as client, opened(url_of(server)) as cache:
        client.config_set("maxmemory", 1)
        refuses(cache, {"set": lambda cache: cache.execute("SET", "x", "y")}, OutOfMemory, "shop is out of memory")
        goes_on(cache)
        assert removed(cache, b"k")
        client.config_set("maxmemory", 0)
        assert cache.execute("SET", "x", "y")


def test_a_replica(server: Server) -> None:
    with plain(server) as client, opened(url_of(server)) as cache:
        client.execute_command("REPLICAOF", HOST, free_port())
        try:
            refuses(cache, ACTS, ReadOnlyReplica, "shop refuses writes: it is a read-only replica")
            goes_on(cache)
            client.config_set("replica-serve-stale-data", "no")
            refuses(cache, {"look": LOOKS["look"]}, Unreachable, "shop has lost its link to the primary")
        finally:
            client.config_set("replica-serve-stale-data", "yes")
            client.execute_command("REPLICAOF", "NO", "ONE")
        assert removed(cache, b"k")


def test_a_server_that_runs_a_script() -> None:
    with busy() as server, opened(url_of(server)) as cache:
        refuses(cache, LOOKS | ACTS, Busy, "shop is busy running a script")


def test_a_script_that_ends(server: Server) -> None:
    with plain(server) as client, opened(url_of(server)) as cache:
        client.config_set("busy-reply-threshold", 20)
        goes_on(cache)
        with running_script(server):
            refuses(cache, {"look": LOOKS["look"]}, Busy, "shop is busy running a script")
        goes_on(cache)


@pytest.mark.parametrize("name", [*LOOKS, *ACTS])
def test_a_server_that_does_not_answer(name: str, server: Server) -> None:
    with opened(url_of(server)) as cache, stopped(server):
        refuses(cache, {name: (LOOKS | ACTS)[name]}, TimedOut, "shop did not answer within the time-out")


def test_a_server_that_answers_again(server: Server) -> None:
    with opened(url_of(server)) as cache:
        goes_on(cache)
        with stopped(server):
            refuses(cache, {"look": LOOKS["look"], "remove": ACTS["remove"]}, TimedOut, "did not answer")
        goes_on(cache)  # and no late answer is taken for that of another command
        assert cache.execute("STRLEN", "k") == 1


def test_a_server_that_timed_out_is_not_waited_for_again_and_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page asks for several things: after the first time-out the rest fails at once, for a short while."""
    monkeypatch.setattr(connect, "FAILURE_SECONDS", 600.0)
    with opened(url_of(server)) as cache:
        goes_on(cache)
        with stopped(server):
            refuses(cache, {"look": LOOKS["look"]}, TimedOut, "did not answer")
        # It would answer now, but is not asked.
        refuses(cache, {"look": LOOKS["look"]} | ACTS, TimedOut, "did not answer")
        monkeypatch.setattr(connect, "FAILURE_SECONDS", 0.0)
        goes_on(cache)


def test_a_server_that_stops_in_the_middle_of_a_walk(server: Server) -> None:
    with plain(server) as client:
        client.mset({f"k:{number}": "v" for number in range(2000)})
    with opened(url_of(server)) as cache:
        walking = walk(cache, Selection(), Budget(share=1.0))
        first = next(walking)
        with stopped(server):
            rest = list(walking)
        assert [batch.found for batch in rest] == [()]
        position = rest[0].position
        assert "did not answer" in "".join(position.lost.values())
        assert position.ended
        later = list(walk(cache, Selection(), Budget(share=1.0), position.retried()))
        seen = {key for batch in (first, *later) for key in batch.found}
        assert len(seen) == 2001
        assert not later[-1].position.lost


def test_a_server_that_takes_no_more_clients(server: Server) -> None:
    with plain(server) as client, opened(url_of(server)) as cache:
        client.ping()
        client.config_set("maxclients", 1)
        try:
            refuses(cache, {"look": LOOKS["look"]}, Busy, "shop has reached its maximum number of clients")
        finally:
            client.config_set("maxclients", 10_000)
        goes_on(cache)


def test_a_key_that_has_another_type_by_now(server: Server) -> None:
    with opened(url_of(server)) as cache:
        refuses(cache, {"llen": lambda cache: cache.execute("LLEN", "k")}, WrongType, "another type")


def test_a_server_whose_auth_is_renamed_gives_no_password_away() -> None:
    server = start("--rename-command", "AUTH", "")
    try:
        with opened(url_of(server)) as cache, pytest.raises(CacheError) as caught:
            cache.execute("PING")
        assert PASSWORD not in caught.value.sentence
    finally:
        server.stop()


class _Http(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def test_a_port_where_something_else_answers() -> None:
    with http.server.ThreadingHTTPServer((HOST, 0), _Http) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        with opened(f"redis://:{PASSWORD}@{HOST}:{web.server_address[1]}?timeout=1") as cache:
            for look in LOOKS.values():
                with pytest.raises(CacheError, match="shop") as caught:
                    look(cache)
                assert PASSWORD not in caught.value.sentence
        web.shutdown()
