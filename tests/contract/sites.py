"""What the contract runs on: a cache as configured, and a plain client that arranges and checks behind its back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.programs import wait_until
from tests.servers import HOST, Server, free_port, running, start

SERVICE = "mymaster"
FILL = "for i = 3, #ARGV do redis.call('SET', ARGV[i], ARGV[1]) end"
FILL_WITH_TTL = "for i = 3, #ARGV do redis.call('SET', ARGV[i], ARGV[1], 'EX', ARGV[2]) end"
REMOVE = "for i = 1, #ARGV do redis.call('DEL', ARGV[i]) end"


@dataclass
class Site:
    """One managed cache. `servers` hold its primaries; `plain` speaks to all of them and knows nothing of Cachedeck."""

    kind: str
    url: str
    servers: list[Server]
    plain: redis.Redis | redis.RedisCluster

    def open(self, *options: str) -> Cache:
        """The cache with these options in its URL; the caller closes it."""
        joined = "&".join(options)
        return Cache(parse_target(f"shop={self.url}" + (f"?{joined}" if joined else "")))

    def fill(self, keys: Iterable[bytes], value: bytes = b"v", ttl: int | None = None) -> None:
        """Set many keys, whichever server each belongs to; by a script, which is ten times as fast as a pipeline."""
        groups: dict[int, list[bytes]] = {server.port: [] for server in self.servers}
        for key in keys:
            groups[self._port_of(key)].append(key)
        for server in self.servers:
            mine = groups[server.port]
            with server.client() as client:
                for start_at in range(0, len(mine), 5000):
                    some = mine[start_at : start_at + 5000]
                    client.execute_command("EVAL", FILL if ttl is None else FILL_WITH_TTL, 0, value, ttl or 0, *some)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Delete many keys, whichever server each belongs to."""
        for server in self.servers:
            mine = [key for key in keys if self._port_of(key) == server.port]
            with server.client() as client:
                for start_at in range(0, len(mine), 5000):
                    client.execute_command("EVAL", REMOVE, 0, *mine[start_at : start_at + 5000])

    def _port_of(self, key: bytes) -> int:
        if isinstance(self.plain, redis.RedisCluster):
            return int(self.plain.get_node_from_key(key).port)
        return self.servers[0].port

    def each(self, *command: object) -> list[object]:
        """One command to every primary; their replies."""
        replies = []
        for server in self.servers:
            with server.client() as client:
                replies.append(client.execute_command(*command))
        return replies

    def calls(self) -> dict[str, int]:
        """How often each command has been called, refused ones too, on all primaries since `forget_calls`."""
        counts: dict[str, int] = {}
        for stats in self.each("INFO", "commandstats"):
            assert isinstance(stats, dict)
            for name, facts in stats.items():
                command = name.removeprefix("cmdstat_")
                tried = facts["calls"] + facts["rejected_calls"]
                counts[command] = counts.get(command, 0) + tried
        return counts

    def forget_calls(self) -> None:
        self.each("CONFIG", "RESETSTAT")


def start_sentinel(primary: Server) -> Server:
    """A sentinel that watches one primary; returns when it knows it."""
    port = free_port()
    folder = primary.folder / "sentinel"
    folder.mkdir()
    conf = folder / "sentinel.conf"
    conf.write_text(
        f"port {port}\nbind {HOST}\ndir {folder}\nsentinel monitor {SERVICE} {HOST} {primary.port} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 60000\n"
    )
    return _sentinel(conf, port, folder, primary.binary)


def _sentinel(conf: Path, port: int, folder: Path, binary: Path) -> Server:
    import subprocess

    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([str(binary), str(conf), "--sentinel"], stdout=log, stderr=subprocess.STDOUT)
    sentinel = Server(port, folder, process, (), binary)
    wait_until(lambda: _knows_its_primary(sentinel), "the sentinel knows its primary")
    return sentinel


def _knows_its_primary(sentinel: Server) -> bool:
    with contextlib.suppress(redis.RedisError), sentinel.client(decode_responses=True) as client:
        return bool(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE))
    return False


@contextlib.contextmanager
def watched_primary() -> Iterator[tuple[Server, Server]]:
    """(primary, sentinel) for one block."""
    primary = start()
    try:
        sentinel = start_sentinel(primary)
        try:
            yield primary, sentinel
        finally:
            sentinel.stop()
    finally:
        primary.stop()


@contextlib.contextmanager
def replaceable(fill: Callable[[Server], object], *arguments: str) -> Iterator[tuple[Server, Server, Server]]:
    """(primary, replica, sentinel) for one block: the sentinel alone decides who takes over, and soon. The replica has
    what `fill` has put into the primary."""
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(running(*arguments))
        replica = stack.enter_context(running(*arguments, "--replicaof", f"{HOST} {primary.port}"))
        fill(primary)
        with replica.client() as client, primary.client() as other:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "in step")
            wait_until(lambda: client.dbsize() == other.dbsize(), "it has all keys")
        sentinel = start_sentinel(primary)
        stack.callback(sentinel.stop)
        with sentinel.client(decode_responses=True) as client:
            client.execute_command("SENTINEL", "SET", SERVICE, "down-after-milliseconds", 500)
            client.execute_command("SENTINEL", "SET", SERVICE, "failover-timeout", 3000)
            wait_until(lambda: _can_replace(client.execute_command("SENTINEL", "REPLICAS", SERVICE)), "it knows")
        yield primary, replica, sentinel


def _can_replace(replicas: list[dict[str, object]]) -> bool:
    """Whether a sentinel knows of one replica, and has asked it."""
    return (
        len(replicas) == 1
        and "slave" in str(replicas[0].get("flags"))
        and int(str(replicas[0].get("slave-priority", 0))) > 0
    )
