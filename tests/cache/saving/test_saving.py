"""Strings or hashes: measured against real servers, on a cache of each kind of value."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from dashboard.cache.errors import Denied
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.saving import run as module
from dashboard.cache.saving.private_server import PrivateServer, private_server
from dashboard.cache.saving.report import VALUE_LIMIT, Saving, SavingSnapshot, Way
from dashboard.cache.saving.run import Options, measure_saving
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_targets
from tests.programs import alive, wait_until
from tests.servers import Cluster, Server, running


@contextlib.contextmanager
def opened(url: str) -> Iterator[Cache]:
    cache = Cache(parse_targets(f"main={url}")[0])
    try:
        yield cache
    finally:
        cache.close()


def fill(server: Server, count: int, size: int, ttl: int | None = None) -> None:
    with contextlib.closing(server.client()) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(count):
            pipe.set(f"api:user:{number}:name", "x" * size, ex=ttl)
        pipe.execute()


def measured(url: str, **options: object) -> Saving:
    given = {"namespace": "api:user:*:name", "separator": b":", "keys": exactly(1_000_000), **options}
    with opened(url) as cache:
        return list(measure_saving(cache, Options(**given)))[-1].saving  # type: ignore[arg-type]


def test_many_small_strings_save(valkey: Server) -> None:
    fill(valkey, 3_000, 20)
    found = measured(valkey.url)
    assert found.sampled == 3_000
    assert found.hashes is not None
    assert (found.hashes.holders, found.hashes.compact) == (30, 30)
    assert found.saves
    share, gain = found.share(found.hashes), found.gain(found.hashes)
    assert share is not None
    assert gain is not None
    assert share > 0.3, "a listpack of small values has none of the overhead of a key each"
    each = found.per_key(found.strings), found.per_key(found.hashes)
    assert gain.value == pytest.approx(1_000_000 * ((each[0] or 0) - (each[1] or 0)))


def test_few_large_values_do_not_save(valkey: Server) -> None:
    fill(valkey, 200, 8_000)
    found = measured(valkey.url)
    share = found.share(found.hashes)
    assert found.hashes is not None
    assert found.hashes.compact == 0, "a value beyond the listpack's limit makes a table of its hash"
    assert not found.saves
    assert share is not None
    assert share < 0.05
    assert found.unfit == 200


def test_what_is_measured_is_what_the_managed_server_says_of_its_keys(valkey: Server) -> None:
    fill(valkey, 3_000, 20)
    found = measured(valkey.url)
    with contextlib.closing(valkey.client()) as client:
        told = sum(client.memory_usage(f"api:user:{number}:name") or 0 for number in range(3_000))
    assert found.strings is not None
    table = 16 * 3_000  # at most two words a key, which MEMORY USAGE leaves out
    assert told <= found.strings.bytes <= told + table


def test_keys_with_a_ttl_are_measured_with_a_ttl_on_each_field_too(valkey: Server) -> None:
    fill(valkey, 500, 20, ttl=600)
    found = measured(valkey.url)
    assert found.with_ttl == 500
    assert found.timed is not None
    assert found.hashes is not None
    assert found.timed.bytes > found.hashes.bytes


def test_keys_without_ttl_need_no_fields_with_one(valkey: Server) -> None:
    fill(valkey, 500, 20)
    assert measured(valkey.url).timed is None


def test_a_key_that_is_about_to_expire_is_still_counted(valkey: Server) -> None:
    fill(valkey, 500, 20, ttl=2)
    found = measured(valkey.url)
    assert found.hashes is not None
    assert found.hashes.holders == 5
    assert found.hashes.compact == 5


def test_the_limits_of_the_managed_server_are_the_ones_measured_with() -> None:
    with running("--hash-max-listpack-entries", "10", "--hash-max-listpack-value", "32") as server:
        fill(server, 500, 20)
        found = measured(server.url)
    assert (found.entries, found.value, found.told, found.fields) == (10, 32, True, 10)
    assert found.hashes is not None
    assert (found.hashes.holders, found.hashes.compact) == (50, 50)


def test_where_the_limits_are_not_told_the_defaults_are_taken_and_that_is_said(valkey: Server) -> None:
    fill(valkey, 200, 20)
    with user(valkey, "~*", "+@all", "-config") as url:
        found = measured(url)
    assert (found.entries, found.value, found.told) == (128, 64, False)
    assert found.saves


def test_who_may_not_read_values_is_told_so(valkey: Server) -> None:
    fill(valkey, 200, 20)
    with user(valkey, "~*", "+@all", "-getrange") as url, pytest.raises(Denied, match="GETRANGE"):
        measured(url)


def test_large_values_are_left_out_and_counted(valkey: Server) -> None:
    fill(valkey, 100, 20)
    with contextlib.closing(valkey.client()) as client:
        client.set("api:user:7000:name", "x" * (VALUE_LIMIT + 1))
        client.set("api:user:7001:name", "x" * VALUE_LIMIT)
    found = measured(valkey.url)
    assert (found.sampled, found.too_large) == (101, 1)


def test_only_strings_of_that_very_namespace_are_sampled(valkey: Server) -> None:
    fill(valkey, 100, 20)
    with contextlib.closing(valkey.client()) as client:
        for number in range(50):
            client.set(f"api:user:{number}:posts:{number}:name", "x")
            client.hset(f"api:user:{9000 + number}:name", "a", "1")
    assert measured(valkey.url).sampled == 100


def test_the_sample_is_bounded(valkey: Server) -> None:
    fill(valkey, 2_000, 20)
    assert measured(valkey.url, sample=700).sampled == 700


def test_too_few_keys_are_not_measured(valkey: Server) -> None:
    fill(valkey, 5, 20)
    found = measured(valkey.url)
    assert (found.sampled, found.strings, found.stage) == (5, None, "")


def test_a_cluster_is_sampled_on_all_primaries(cluster: Cluster) -> None:
    with contextlib.closing(cluster.client()) as client:
        for number in range(600):
            client.set(f"api:user:{number}:name", "x" * 20)
    found = measured(cluster.url)
    assert found.sampled == 600
    assert found.saves


def test_a_read_only_cache_is_measured_and_not_written_to(valkey: Server) -> None:
    fill(valkey, 300, 20)
    assert measured(f"{valkey.url}?read_only=yes").saves
    with contextlib.closing(valkey.client()) as client:
        assert client.dbsize() == 300


def test_progress_grows_to_its_end_and_snapshots_survive_json(valkey: Server) -> None:
    fill(valkey, 2_000, 20)
    with opened(valkey.url) as cache:
        snapshots = list(measure_saving(cache, Options("api:user:*:name", b":", exactly(2_000))))
    examined = [one.progress.examined for one in snapshots]
    assert examined == sorted(examined)
    assert examined[-1] == 2_000
    assert [one.progress.ended for one in snapshots[:-1]] == [False] * (len(snapshots) - 1)
    assert snapshots[-1].progress.ended
    adapter = TypeAdapter(SavingSnapshot)
    assert adapter.validate_json(adapter.dump_json(snapshots[-1])) == snapshots[-1]


def test_no_snapshot_holds_a_value(valkey: Server) -> None:
    secret = secrets.token_hex(8)
    with contextlib.closing(valkey.client()) as client:
        for number in range(100):
            client.set(f"api:user:{number}:name", secret)
    with opened(valkey.url) as cache:
        for one in measure_saving(cache, Options("api:user:*:name", b":")):
            assert secret not in repr(one)
            assert secret.encode() not in TypeAdapter(SavingSnapshot).dump_json(one)


def test_cancelling_ends_the_private_server_and_takes_its_folder_away(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(valkey, 300, 20)
    seen: list[PrivateServer] = []

    @contextlib.contextmanager
    def watched(settings: dict[str, str]) -> Iterator[PrivateServer]:
        with private_server(settings) as server:
            seen.append(server)
            yield server

    monkeypatch.setattr(module, "private_server", watched)
    with opened(valkey.url) as cache:
        snapshots = measure_saving(cache, Options("api:user:*:name", b":"))
        while not seen:
            next(snapshots)
        assert alive(seen[0].pid)
        snapshots.close()  # type: ignore[attr-defined]
    assert not alive(seen[0].pid)
    assert not seen[0].folder.exists()


def test_the_private_server_is_nobodys_but_ours() -> None:
    with private_server({}) as server:
        assert server.folder.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in server.folder.iterdir()} == {"s"}, "its socket, no configuration, no data"
        limits = Path(f"/proc/{server.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), "a crash would leave the values in a file"
        command = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert server._client.connection_pool.connection_kwargs["password"].encode() not in command
        listening = Path(f"/proc/{server.pid}/net/tcp").exists() and server.execute("CONFIG", "GET", "port")
        assert listening in ([b"port", b"0"], {b"port": b"0"}, {"port": "0"})


def test_the_private_server_dies_with_its_parent() -> None:
    """A worker that is killed cleans nothing up: then the kernel does."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with private_server({}) as server:
            os.write(writer, str(server.pid).encode())
            os.kill(os.getpid(), 9)
    os.close(writer)
    with os.fdopen(reader) as told:
        pid = int(told.read())
    os.waitpid(child, 0)
    wait_until(lambda: not alive(pid), "the private server is gone")


def test_what_costs_more_is_a_negative_saving() -> None:
    found = Saving("a:*", Estimate(100, 90, 110), sampled=10, strings=Way(1000, 10), hashes=Way(1200, 1))
    assert found.share(found.hashes) == pytest.approx(-0.2)
    assert found.gain(found.hashes) == Estimate(-2000, -2200, -1800)
    assert not found.saves


@contextlib.contextmanager
def user(server: Server, *rules: str) -> Iterator[str]:
    """The URL of a user with these rights, for one block."""
    with contextlib.closing(server.client()) as client:
        client.execute_command("ACL", "SETUSER", "lesser", "reset", "on", ">word", *rules)
        try:
            yield server.url.replace("//", "//lesser:word@")
        finally:
            client.execute_command("ACL", "DELUSER", "lesser")
