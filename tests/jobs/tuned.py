"""A store and one cache whose settings are changed: what tests of tuning and of trials stand on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.tuning.trial_rules import Guards
from dashboard.jobs import trying, tuning
from dashboard.jobs.asking import Caller
from dashboard.jobs.trial_guard import TrialGuard
from dashboard.settings import Settings
from dashboard.store import audit, samples, trials
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store, open_store
from dashboard.store.samples import Sample
from dashboard.store.trials import Trial
from tests.servers import Cluster, Server

ADA = Caller("ada", "10.0.0.1", "page")
LFU = {"maxmemory-policy": "allkeys-lfu"}


@dataclass
class Tuned:
    """One cache with its servers, primaries first, each with a plain client."""

    store: Store
    settings: Settings
    cache: Cache
    servers: Sequence[Server]

    def set(self, name: str, value: str, *servers: Server) -> None:
        for server in servers or self.servers:
            with server.client() as client:
                client.config_set(name, value)

    def values(self, name: str) -> list[str]:
        """What each server has."""
        found = []
        for server in self.servers:
            with server.client(decode_responses=True) as client:
                found.append(client.config_get(name)[name])
        return found

    def forbid(self, server: Server, *rights: str) -> None:
        """Take rights of Cachedeck's user away on one server."""
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", *rights)

    def guard(self) -> TrialGuard:
        return TrialGuard(self.store, {self.cache.name: self.cache}, self.settings)

    def started(self, seconds: float = 60, guards: Guards | None = None, **options: bool) -> Trial:
        return trying.start(
            self.store, self.settings, self.cache, LFU, seconds, guards or Guards(), ADA, "to see", **options
        )

    def trial(self, number: int) -> Trial:
        found = trials.get(self.store, number)
        assert found
        return found

    def audited(self, action: str) -> list[Entry]:
        return audit.search(self.store, Filters(action=action))

    def sample(self, at: float, hits: float, misses: float, evicted: float = 0.0, node: str = "") -> None:
        """A sample as the worker would have taken it, of counters since the server's start."""
        values = {
            "keyspace_hits": hits,
            "keyspace_misses": misses,
            "evicted_keys": evicted,
            "total_commands_processed": hits + misses,
            "used_memory": 1e6,
            "sampled_at": at,
            "uptime_in_seconds": at,
        }
        samples.save(self.store, [Sample(at, self.cache.name, node or self.cache.primaries()[0].name, values)])

    def preview(self, wanted: dict[str, str], **options: bool) -> tuning.Preview:
        return tuning.preview(self.store, self.settings, self.cache, wanted, **options)


@contextmanager
def tuned(folder: Path, url: str, servers: Sequence[Server], *options: str) -> Iterator[Tuned]:
    """Cachedeck as bob, who may do everything until a test forbids it."""
    for server in servers:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all")
    scheme, _, rest = url.partition("://")
    query = "&".join(("timeout=1", "connect_timeout=1", *options))
    settings = Settings(data=folder)
    with ExitStack() as stack:
        store = open_store(settings.database)
        stack.callback(store.close)
        cache = Cache(parse_target(f"shop={scheme}://bob:pw@{rest}?{query}"))
        stack.callback(cache.close)
        yield Tuned(store, settings, cache, servers)


@contextmanager
def tuned_cluster(folder: Path, cluster: Cluster) -> Iterator[Tuned]:
    """Three primaries, in the order in which they are changed; afterwards they evict nothing and have no limit."""
    with tuned(folder, cluster.url, cluster.servers) as found:
        names = [node.name.rpartition(":")[2] for node in found.cache.primaries()]
        found.servers = sorted(cluster.servers, key=lambda server: names.index(str(server.port)))
        yield found
        found.set("maxmemory-policy", "noeviction")
        found.set("maxmemory", "0")
