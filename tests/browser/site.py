"""Cachedeck as a user has it: the web process and the worker on real servers, with a port of its own.

Every cache has a purpose; a test that changes something writes keys of its own into it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from dashboard.store import operators, tokens
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from dashboard.store.tokens import Draft
from tests.browser.keyspace import furnish
from tests.lab.bench import Bench, serving
from tests.programs import CACHEDECK, Running, environment, running
from tests.servers import HOST, Server, free_port, start, start_cluster

PASSWORD = "correct horse battery"
NAMES = {Role.VIEWER: "vera", Role.OPERATOR: "otto", Role.ADMIN: "ada"}
HAYSTACK = 600_000

# Databases of the one server that most caches share: cache -> (number, options).
DATABASES = {
    "main": (0, ""),
    "live": (1, "environment=production"),
    "frozen": (2, "environment=staging&read_only=yes"),
    "haystack": (3, ""),
    "hostile": (4, "environment=development"),
    "empty": (5, ""),
    "herd": (8, ""),
}


@dataclass
class Site:
    """The running program. `url` has no slash at its end."""

    url: str
    data: Path
    settings: dict[str, str]
    server: Server
    fragile: Server
    worker: Running
    bench: Bench

    def client(self, cache: str) -> redis.Redis:
        """For arranging and checking what lies in a cache; the caller closes it."""
        return self.server.client(db=DATABASES[cache][0])


@contextlib.contextmanager
def site(data: Path) -> Iterator[Site]:
    """Servers, operators, web process and worker for one block."""
    with contextlib.ExitStack() as stack:
        server = start("--enable-debug-command", "local")
        stack.callback(server.stop)
        fragile = start("--enable-debug-command", "local")
        stack.callback(fragile.stop)
        cluster = start_cluster()
        stack.callback(cluster.stop)
        _furnish(server, fragile)
        with contextlib.closing(cluster.client()) as client:
            for number in range(600):
                client.set(f"shard:{number % 7}:{number}", "x" * number)
        _add_operators(data)
        nobody = stack.enter_context(contextlib.closing(socket.socket()))
        nobody.bind((HOST, 0))  # it never listens, and nobody else can
        bench = Bench()
        settings = environment(
            data,
            CACHEDECK_DEMO_URL=stack.enter_context(serving(bench)),
            CACHEDECK_CACHES=_caches(server, fragile, cluster.url, nobody.getsockname()[1]),
            CACHEDECK_PORT=str(free_port()),
            CACHEDECK_SEARCH_SECONDS="0.05",
            CACHEDECK_IDLE_MINUTES="1440",  # each role signs in once, and its cookies serve to the end
        )
        stack.enter_context(web(settings))
        worker = stack.enter_context(running([*CACHEDECK, "worker"], settings))
        worker.has_said("Sampling")
        yield Site(f"http://{HOST}:{settings['CACHEDECK_PORT']}", data, settings, server, fragile, worker, bench)


@contextlib.contextmanager
def web(settings: dict[str, str]) -> Iterator[Running]:
    """A web process that answers, for one block."""
    with running([*CACHEDECK, "web"], settings) as process:
        process.has_said("Serving at")
        yield process


def _caches(server: Server, fragile: Server, cluster: str, down: int) -> str:
    pairs = [f"{name}={server.url}/{number}?{options}" for name, (number, options) in DATABASES.items()]
    pairs += [
        f"shards={cluster}",
        f"fragile={fragile.url}",
        f"down=redis://{HOST}:{down}",
    ]
    return " ".join(pairs)


def _furnish(server: Server, fragile: Server) -> None:
    for name in ("main", "live", "frozen"):
        with server.client(db=DATABASES[name][0]) as client:
            furnish(client)
    with server.client(db=DATABASES["haystack"][0]) as client:
        client.execute_command("DEBUG", "POPULATE", HAYSTACK, "hay", 8)
        for number in range(3):
            client.set(f"needle:{number}", "found")
    refill(fragile)


def refill(fragile: Server) -> None:
    """What the fragile server holds, and nothing else; it forgets it when it is restarted."""
    with fragile.client() as client:
        client.flushall()
        client.execute_command("DEBUG", "POPULATE", 1000, "glass", 8)


def _add_operators(data: Path) -> None:
    store = open_store(f"sqlite:///{data / 'cachedeck.db'}")
    for role, name in NAMES.items():
        operators.add(store, name, PASSWORD, role)
    tokens.add(store, Draft("deploy", Role.OPERATOR, "main", ("api:search:*", "tmp:?")), NAMES[Role.ADMIN])
    old, _ = tokens.add(store, Draft("old pipeline", Role.VIEWER), NAMES[Role.ADMIN])
    tokens.revoke(store, old.id, NAMES[Role.ADMIN])
    store.close()
