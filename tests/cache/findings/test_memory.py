"""Findings about maxmemory and about the memory that the process takes, each on a real server."""

from __future__ import annotations

from pathlib import Path

from dashboard.cache.findings.rules import findings
from tests.cache.findings.looked import NOW, between, fill, looked, now, plain, said, taken, unsaid, with_values
from tests.programs import wait_until
from tests.servers import HOST, Server, running, start

MB = 1024 * 1024
FULL = ("--maxmemory", "8mb")


def full(server: Server) -> None:
    fill(server, 9000)


def test_no_maxmemory() -> None:
    with running() as server:
        assert plain(said("no-maxmemory", now(server))).startswith("No maxmemory is set: the server will grow")
        with server.client() as client:
            client.config_set("maxmemory", "64mb")
        unsaid("no-maxmemory", now(server))


def test_no_maxmemory_in_a_small_container_is_critical() -> None:
    with running() as server:
        found = said("no-maxmemory", with_values(now(server), **looked(server, "?memory_limit=2mb")))
        assert found.level == "critical"
        assert "of the container's 2 MB" in plain(found)


def test_noeviction() -> None:
    with running(*FULL, "--maxmemory-policy", "noeviction") as server:
        assert said("noeviction", now(server)).level == "warning"
        full(server)
        found = said("noeviction", now(server))
        assert found.level == "critical"
        with server.client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        unsaid("noeviction", now(server))


def test_memory_that_will_be_full_soon() -> None:
    with running("--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru") as server:
        found = said("memory-filling", between(server, lambda: fill(server, 5000)))
        assert plain(found).startswith("Memory is full in about")
        unsaid("memory-filling", between(server, lambda: None))


def test_how_full_memory_is() -> None:
    with running("--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru") as server:
        assert "of 32 MB" in plain(said("memory", now(server)))
        fill(server, 40_000)
        unsaid("memory", now(server))


def test_fragmentation() -> None:
    with running() as server:
        fill(server, 250_000)
        unsaid("fragmentation", now(server))
        with server.client() as client:
            for first in range(0, 250_000, 5000):
                # Three of four leave holes that the allocator cannot give back.
                client.delete(*(f"k:{number}" for number in range(first, first + 5000) if number % 4))
        found = said("fragmentation", now(server))
        assert "are lost to fragmentation" in found.sentence


def test_data_that_are_not_in_memory(tmp_path: Path) -> None:
    """A table that is made for 2^25 keys and has none is memory that was never touched, so it is not resident."""
    hint = (1 << 25).to_bytes(4, "big")
    rdb = b"REDIS0011\xfe\x00\xfb\x80" + hint + b"\x00\x00\x01a\x01b\xff" + bytes(8)
    (tmp_path / "dump.rdb").write_bytes(rdb)
    server = start("--dbfilename", "dump.rdb", folder=tmp_path)
    try:
        wait_until(lambda: not taken(server).get("loading"), "it has loaded")
        seen = now(server)
        assert seen.whole
        assert seen.whole.get("used_memory") > 100 * MB
        assert said("swapped", seen).level == "critical"
    finally:
        server.stop()
    with running("--enable-debug-command", "local") as server, server.client() as client:
        fill(server, 150_000)

        def is_in_memory() -> bool:
            # A machine that is short of memory may have taken some of it away meanwhile: then the finding is right.
            client.execute_command("DEBUG", "DIGEST")
            return not [one for one in findings(now(server)) if one.rule == "swapped"]

        wait_until(is_in_memory, "all is in memory")


def test_a_backlog_that_was_never_written_to_is_not_swapped() -> None:
    with running("--repl-backlog-size", "300mb") as primary, running("--replicaof", f"{HOST} {primary.port}"):
        wait_until(lambda: taken(primary).get("replicas_online") == 1, "it replicates")
        unsaid("swapped", now(primary))


def test_the_process_fills_its_container() -> None:
    with running("--maxmemory", "64mb") as server:
        rss = int(taken(server).get("used_memory_rss"))
        found = said("container-full", with_values(now(server), **looked(server, f"?memory_limit={rss}")))
        assert found.level == "critical"
        unsaid("container-full", with_values(now(server), **looked(server, f"?memory_limit={2 * rss}")))


def test_maxmemory_above_the_container() -> None:
    with running("--maxmemory", "64mb") as server:
        found = said("maxmemory-above-room", with_values(now(server), **looked(server, "?memory_limit=50mb")))
        assert "maxmemory is 64 MB, more than the 50 MB of its container" in plain(found)
        unsaid("maxmemory-above-room", with_values(now(server), **looked(server, "?memory_limit=80mb")))


def test_copies_while_saving() -> None:
    with running("--maxmemory", "200mb") as server, server.client() as client:
        fill(server, 60_000)
        client.bgsave()
        fill(server, 60_000)  # every page is written again while the child saves, or has been
        wait_until(lambda: not taken(server).get("rdb_bgsave_in_progress"), "it has saved")
        reading = taken(server)
        copied, rss = reading.get("rdb_last_cow_size"), reading.get("used_memory_rss")
        assert copied > 0
        tight, roomy = int(rss + copied / 2), int(rss + 100 * copied)
        seen = now(server)
        assert "Saving has copied" in said("copy-on-write", with_values(seen, memory_limit=tight)).sentence
        unsaid("copy-on-write", with_values(seen, memory_limit=roomy))


def test_growth_of_nothing_says_nothing_of_when(tmp_path: Path) -> None:
    with running("--maxmemory", "8mb") as server:
        seen = between(server, lambda: None)
        assert "in about" not in plain(said("noeviction", seen))
        assert seen.now == NOW
