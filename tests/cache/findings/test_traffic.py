"""Findings about traffic and clients, each on a real server."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

from dashboard.cache.findings.rules import findings
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs.sampler import Follower
from dashboard.jobs.seeing import gather
from dashboard.store.engine import Store, open_store
from tests.cache.findings.looked import between, now, paused, plain, said, taken, two_windows, unsaid
from tests.programs import wait_until
from tests.servers import HOST, Server, running

SPIN = "local ends = os.clock() + {seconds} while os.clock() < ends do end"


def reads(server: Server, hits: int, misses: int) -> None:
    with server.client() as client, client.pipeline(transaction=False) as pipe:
        pipe.set("there", "x")
        for _ in range(hits):
            pipe.get("there")
        for _ in range(misses):
            pipe.get("not there")
        pipe.execute()


def test_the_hit_ratio_while_it_is_good() -> None:
    with running() as server:
        assert plain(said("hit-ratio", between(server, lambda: reads(server, 95, 5)))) == (
            "Hit ratio 95 % over the last 5 min."
        )
        unsaid("hit-ratio", between(server, lambda: reads(server, 50, 50)))


def test_a_low_hit_ratio() -> None:
    with running() as server:
        assert "Hit ratio 50 %" in plain(said("hit-ratio-low", between(server, lambda: reads(server, 100, 100))))
        unsaid("hit-ratio-low", between(server, lambda: reads(server, 100, 5)))


def test_a_hit_ratio_that_falls() -> None:
    with running() as server:
        fallen = two_windows(server, lambda: reads(server, 99, 1), lambda: reads(server, 90, 10))
        assert "fell from 99 %" in plain(said("hit-ratio-falling", fallen))
        steady = two_windows(server, lambda: reads(server, 99, 1), lambda: reads(server, 98, 2))
        unsaid("hit-ratio-falling", steady)


def test_connections_that_are_refused_and_many() -> None:
    with running("--maxclients", "20") as server:
        unsaid("connections-many", now(server))
        unsaid("connections-refused", between(server, lambda: None))
        with ExitStack() as lines:

            def connect(count: int) -> None:
                for _ in range(count):
                    lines.enter_context(closing(socket.create_connection((HOST, server.port), 5)))
                wait_until(lambda: taken(server).get("connected_clients") >= min(count, 18), "they are connected")

            connect(18)
            assert "of at most 20 clients" in plain(said("connections-many", now(server)))

            def too_many() -> None:
                with closing(Cache(parse_target(f"main={server.url}"))) as first:
                    first.execute("PING")
                    for _ in range(5):
                        lines.enter_context(closing(socket.create_connection((HOST, server.port), 5)))
                    wait_until(
                        lambda: int(first.execute("INFO", "stats")["rejected_connections"]) > 0, "one was refused"
                    )
                lines.close()

            assert said("connections-refused", between(server, too_many)).level == "critical"


def test_clients_that_wait(valkey: Server) -> None:
    unsaid("blocked-clients", now(valkey))
    with closing(socket.create_connection((HOST, valkey.port), 5)) as line:
        line.sendall(b"BLPOP nothing-there 0\r\n")
        wait_until(lambda: taken(valkey).get("blocked_clients") == 1, "it waits")
        assert "1 client waits" in plain(said("blocked-clients", now(valkey)))


def test_a_busy_main_thread() -> None:
    with running() as server, server.client() as client:
        unsaid("busy-thread", between(server, client.ping))
        # As if the second of processor time that it takes had been all the time there was.
        spin = SPIN.format(seconds=1)
        assert "is busy" in said("busy-thread", between(server, lambda: client.eval(spin, 0), seconds=1.0)).sentence


def test_an_answer_that_took_long(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'c.db'}")
    with running() as server, closing(store), closing(Cache(parse_target(f"main={server.url}"))) as cache:
        follower = Follower(store, cache, 0.1)
        wait_until(lambda: _quick(follower, store), "an answer came soon")
        wait_until(lambda: _slow(follower, store, server), "an answer took long")


def _slow(follower: Follower, store: Store, server: Server) -> bool:
    """Asked while the server stands still; on a busy machine it may go on before it is asked."""
    with paused(server):
        goes_on = threading.Timer(0.4, server.process.send_signal, (signal.SIGCONT,))
        goes_on.start()
        follower.sample()
        goes_on.join()
    found = findings(gather(store, "main", time.time(), 2.0))
    return any(one.rule == "slow-answer" and "The last look at the server took" in one.sentence for one in found)


def _quick(follower: Follower, store: Store) -> bool:
    time.sleep(0.1)
    follower.sample()
    seen = gather(store, "main", time.time(), 2.0)
    if seen.whole is None or seen.whole.get("answer_seconds") > 0.1:
        return False
    unsaid("slow-answer", seen)
    return True


def test_commands_a_second() -> None:
    with running() as server:
        assert "commands/s" in said("load", between(server, lambda: reads(server, 100, 0))).sentence
        unsaid("load", now(server))


def test_big_buffers() -> None:
    with running("--maxmemory", "128mb") as server, server.client() as client:
        client.set("large", "x" * 2_000_000)
        unsaid("big-buffers", now(server))
        with closing(socket.create_connection((HOST, server.port), 5)) as line:
            line.sendall(b"GET large\r\n" * 20)  # and nobody reads
            wait_until(lambda: taken(server).get("mem_clients_normal") > 20 * 1024 * 1024, "replies wait")
            assert "clients that read too slowly" in said("big-buffers", now(server)).sentence


def test_clients_that_maxmemory_clients_disconnects() -> None:
    with running("--maxmemory-clients", "8mb") as server, server.client() as client:
        client.set("large", "x" * 2_000_000)

        def too_much() -> None:
            with closing(socket.create_connection((HOST, server.port), 5)) as line:
                line.sendall(b"GET large\r\n" * 20)
                wait_until(lambda: taken(server).get("evicted_clients") == 1, "it is disconnected")

        unsaid("clients-evicted", between(server, lambda: client.get("large")))
        assert "1 client was disconnected" in plain(said("clients-evicted", between(server, too_much)))


def test_clients_whose_output_buffer_was_too_large() -> None:
    limit = ("--client-output-buffer-limit", "normal 4mb 0 0")
    with running(*limit) as server, server.client() as client:
        client.set("large", "x" * 2_000_000)

        def too_much() -> None:
            with closing(socket.create_connection((HOST, server.port), 5)) as line:
                line.sendall(b"GET large\r\n" * 20)
                name = "client_output_buffer_limit_disconnections"
                wait_until(lambda: taken(server).get(name) == 1, "it is disconnected")

        unsaid("output-limit", between(server, lambda: client.get("large")))
        assert "1 client was disconnected" in plain(said("output-limit", between(server, too_much)))
