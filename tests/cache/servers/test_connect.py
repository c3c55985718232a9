"""How a server is reached: TLS, sockets, users; what a connection says of itself; what a broken one costs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from dashboard.cache.errors import CacheError, ReadOnlyCache, ServerError, Unreachable, WrongPassword
from dashboard.cache.reading import keys
from dashboard.cache.reading.search import search
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, free_port, running
from tests.tls_front import CERTIFICATES, tls_front


@contextlib.contextmanager
def opened(url: str) -> Iterator[Cache]:
    with contextlib.closing(Cache(parse_target(f"shop={url}"))) as cache:
        yield cache


def test_nothing_connects_before_it_is_used() -> None:
    with opened(f"redis://{HOST}:{free_port()}") as cache:
        assert cache.name == "shop"
        assert "shop" in repr(cache)


def test_no_password_is_in_the_repr() -> None:
    with opened("redis://bob:hunter2@127.0.0.1:1") as cache:
        assert "hunter2" not in repr(cache)


def test_a_server_is_reached_by_tls_and_verified(valkey: Server) -> None:
    with tls_front(valkey) as port, opened(f"rediss://{HOST}:{port}?tls_ca={CERTIFICATES}/ca.pem") as cache:
        assert cache.execute("SET", "k", "v")
        assert keys.look(cache, b"k")
        assert cache.capabilities().product == "Valkey"


def test_a_certificate_that_is_not_trusted_is_refused_and_said(valkey: Server) -> None:
    with tls_front(valkey) as port:
        with opened(f"rediss://{HOST}:{port}") as cache, pytest.raises(Unreachable, match="TLS certificate"):
            cache.execute("PING")
        with opened(f"rediss://{HOST}:{port}?tls_verify=no") as cache:
            assert cache.execute("PING")


def test_a_certificate_for_another_name_is_refused(valkey: Server) -> None:
    with (
        tls_front(valkey) as port,
        opened(f"rediss://localhost:{port}?tls_ca={CERTIFICATES}/ca.pem") as cache,
        pytest.raises(Unreachable, match="TLS certificate"),
    ):
        cache.execute("PING")


def test_we_show_our_certificate_where_the_server_asks(valkey: Server) -> None:
    ours = f"tls_cert={CERTIFICATES}/client.pem&tls_key={CERTIFICATES}/client.key"
    with tls_front(valkey, asks_for_client=True) as port:
        url = f"rediss://{HOST}:{port}?tls_ca={CERTIFICATES}/ca.pem"
        with opened(f"{url}&{ours}") as cache:
            assert cache.execute("PING")
        with opened(url) as cache, pytest.raises(CacheError):
            cache.execute("PING")


def test_a_read_only_cache_is_guarded_over_tls_too(valkey: Server) -> None:
    with (
        tls_front(valkey) as port,
        opened(f"rediss://{HOST}:{port}?read_only=yes&tls_ca={CERTIFICATES}/ca.pem") as cache,
        pytest.raises(ReadOnlyCache),
    ):
        cache.execute("SET", "k", "v")


def test_a_plain_server_behind_a_tls_url_is_an_error_in_a_sentence(valkey: Server) -> None:
    with opened(f"rediss://{HOST}:{valkey.port}?timeout=1") as cache, pytest.raises(CacheError, match="shop"):
        cache.execute("PING")


def test_a_server_is_reached_by_its_socket() -> None:
    with running("--unixsocket", "s.sock") as server:
        path = server.folder / "s.sock"
        with opened(f"unix://{path}?db=2") as cache:
            assert cache.execute("SET", "k", "v")
            assert [node.name for node in cache.primaries()] == [str(path)]
            assert [row.key for row in search(cache, Selection(b"*")).rows] == [b"k"]
            with server.client(db=2) as client:
                assert client.get("k") == b"v"
                assert b"cachedeck" in client.execute_command(b"CLIENT", b"LIST")
        with opened(f"unix://{path}?read_only=yes") as cache, pytest.raises(ReadOnlyCache):
            cache.execute("SET", "k", "v")


def test_a_socket_that_is_not_there_is_unreachable() -> None:
    with opened("unix:///no/such.sock") as cache, pytest.raises(Unreachable):
        cache.execute("PING")


def test_a_database_number_is_kept_apart(valkey: Server) -> None:
    with opened(f"{valkey.url}/3") as cache:
        cache.execute("SET", "k", "v")
        assert search(cache, Selection(b"*")).found == 1
    with opened(valkey.url) as cache:
        assert search(cache, Selection(b"*")).found == 0


def test_a_user_signs_in_with_any_password(valkey: Server) -> None:
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">p@ss/w:rd?#%", "~*", "+@all")
        with opened(f"redis://bob:p%40ss%2Fw%3Ard%3F%23%25@{HOST}:{valkey.port}") as cache:
            assert cache.execute("ACL", "WHOAMI") == b"bob"
        with opened(f"redis://bob:wrong@{HOST}:{valkey.port}") as cache, pytest.raises(WrongPassword):
            cache.execute("PING")
        client.execute_command("ACL", "DELUSER", "bob")


def test_a_user_who_may_not_name_his_connection_still_looks(valkey: Server) -> None:
    with valkey.client() as client:
        client.set("k", "v")
        client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">secret", "~*", "+@read")
        with opened(f"redis://bob:secret@{HOST}:{valkey.port}") as cache:
            row = keys.look(cache, b"k")
            assert row
            assert (row.type, row.pttl_ms) == ("string", -1)
            assert search(cache, Selection(b"*")).complete
            assert cache.policy() == ""
            assert not cache.capabilities().can("CLIENT NO-TOUCH")
        client.execute_command("ACL", "DELUSER", "bob")


def test_a_connection_that_died_while_idle_is_made_again_unseen() -> None:
    with running() as server, opened(server.url) as cache:
        assert cache.execute("PING")
        assert cache.pipeline(cache.primaries()[0], [("PING",)])
        server.restart()
        assert cache.execute("PING")
        server.restart()
        assert cache.pipeline(cache.primaries()[0], [("DBSIZE",)]) == [0]
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        assert cache.execute("PING")


def test_a_server_that_is_no_cluster_is_said_to_be_none(valkey: Server) -> None:
    with opened(f"redis+cluster://{HOST}:{valkey.port}") as cache:
        with pytest.raises(ServerError, match="shop is no cluster") as caught:
            cache.execute("PING")
        assert "without +cluster" in caught.value.advice


def test_a_cluster_without_slots_is_down_in_a_sentence() -> None:
    with running("--cluster-enabled", "yes") as server, opened(f"redis+cluster://{HOST}:{server.port}") as cache:
        with pytest.raises(CacheError, match="shop"):
            cache.primaries()
        with pytest.raises(CacheError, match="shop"):
            search(cache, Selection(b"*"))


def test_a_cluster_is_entered_by_any_of_its_nodes(cluster: Cluster) -> None:
    servers = cluster.servers
    dead = free_port()
    with opened(f"redis+cluster://{HOST}:{dead},{HOST}:{servers[1].port}") as cache:
        assert len(cache.primaries()) == len(servers)


def test_closing_closes_every_connection_and_the_next_use_connects_again() -> None:
    def ours() -> int:
        with server.client() as client:
            return sum(one["name"] == "cachedeck" for one in client.client_list())

    with running() as server, opened(server.url) as cache:
        cache.execute("PING")
        cache.capabilities()
        wait_until(lambda: ours() == 1, "one connection")
        cache.close()
        wait_until(lambda: ours() == 0, "no connection")
        assert cache.execute("PING")
        assert ours() == 1


def test_threads_share_one_client(valkey: Server) -> None:
    clients = set()
    start = threading.Barrier(8)
    with opened(valkey.url) as cache:

        def use() -> None:
            start.wait(120)
            clients.add(id(cache.client))
            cache.execute("PING")

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert len(clients) == 1


def test_those_who_wait_for_a_cluster_that_is_silent_wait_once() -> None:
    """Eight requests at once against a server that takes connections and says nothing: one time-out, not eight."""
    tried: list[socket.socket] = []
    errors: list[CacheError] = []
    start = threading.Barrier(8)
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        with opened(f"redis+cluster://{HOST}:{port}?timeout=0.5") as cache:

            def use() -> None:
                start.wait(120)
                try:
                    cache.execute("PING")
                except CacheError as error:
                    errors.append(error)

            threads = [threading.Thread(target=use) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
        silent.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                tried.append(silent.accept()[0])
    assert len(errors) == 8
    assert len(tried) < 8
    for connection in tried:
        connection.close()
