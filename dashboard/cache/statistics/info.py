"""INFO, read: what one primary says of itself at one moment. What happens in between: rates.py.

Field names and meanings: the INFO manual page (https://valkey.io/commands/info/), section named
beside each group. Numbers keep the server's own names; what is derived from a text or from several
lines is listed in DERIVED. Only numbers are stored, so the two texts that findings need later, the
eviction policy and the role, are kept as numbers too and come back as `facts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

# Section Stats. CONFIG RESETSTAT sets all of these to zero at once (server.c, resetServerStats).
STATS_COUNTERS = (
    "total_commands_processed",
    "total_connections_received",
    "keyspace_hits",
    "keyspace_misses",
    "evicted_keys",
    "expired_keys",
    "rejected_connections",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "total_error_replies",
    "expired_keys_active",  # since Redis 8: of expired_keys, those which the server found by itself
    "expired_time_cap_reached_count",
    "expire_cycle_cpu_milliseconds",
    "evicted_clients",
    "total_eviction_exceeded_time",  # ms that memory was above maxmemory
    "lazyfreed_objects",
    "client_output_buffer_limit_disconnections",
    "client_query_buffer_limit_disconnections",
    "total_forks",
)
# Section CPU: seconds of processor time since the start; only a restart sets them back.
CPU_COUNTERS = ("used_cpu_sys", "used_cpu_user", "used_cpu_sys_main_thread", "used_cpu_user_main_thread")
COUNTERS = STATS_COUNTERS + CPU_COUNTERS

GAUGES = (
    "uptime_in_seconds",  # section Server
    # section Clients; the recent_max are bytes, of the client whose buffer was the largest in the last seconds
    *("connected_clients", "blocked_clients", "maxclients", "tracking_clients", "pubsub_clients"),
    *("client_recent_max_input_buffer", "client_recent_max_output_buffer"),
    # section Memory, bytes except for the ratio
    *("used_memory", "used_memory_rss", "used_memory_peak", "used_memory_dataset", "total_system_memory"),
    *("maxmemory", "mem_fragmentation_ratio", "mem_not_counted_for_evict", "lazyfree_pending_objects"),
    # of used_memory, what is not data: object.c, getMemoryOverheadData
    *("used_memory_overhead", "used_memory_startup", "used_memory_scripts", "used_memory_vm_total"),
    *("mem_clients_normal", "mem_clients_slaves", "mem_replication_backlog", "mem_total_replication_buffers"),
    *("mem_aof_buffer", "mem_cluster_links"),
    # of the resident memory, what the allocator holds; all alike where the allocator tells nothing (libc)
    *("allocator_allocated", "allocator_active", "allocator_resident", "active_defrag_running"),
    # section Persistence; the loading_* lines are there only while it loads
    *("loading", "loading_loaded_perc", "loading_eta_seconds", "aof_enabled", "rdb_bgsave_in_progress"),
    *("rdb_changes_since_last_save", "rdb_last_save_time", "aof_rewrite_in_progress"),
    *("rdb_last_cow_size", "aof_last_cow_size", "current_cow_peak"),  # bytes copied while a child process saved
    # section Stats; latest_fork_usec is how long the main thread stood still, expired_stale_perc of 100
    *("instantaneous_ops_per_sec", "instantaneous_input_kbps", "instantaneous_output_kbps"),
    *("expired_stale_perc", "current_eviction_exceeded_time", "latest_fork_usec"),
    # section Replication
    *("connected_slaves", "master_last_io_seconds_ago"),
)

DERIVED = {
    "run": "identity of the server process: the first 12 hex digits of run_id, which fit a float exactly",
    "keys": "keys of all databases",
    "keys_with_ttl": "of these, keys that have a TTL",
    "avg_ttl_ms": "mean TTL of the keys that have one, weighted over the databases; the server's estimate",
    "allocator_told": "1 where mem_allocator is one that tells how its memory is used (jemalloc), else 0",
    "policy": "index of maxmemory_policy in POLICIES, -1 for one that is not listed",
    "primary": "1 for a primary, 0 for a replica",
    "primary_link": "on a replica, 1 while master_link_status is up, else 0",
    "rdb_ok": "1 unless rdb_last_bgsave_status is other than ok",
    "aof_ok": "1 unless aof_last_write_status or aof_last_bgrewrite_status is other than ok",
    "replicas_online": "lines slaveN whose state is online",
    "replica_lag": "largest lag of these, seconds since the replica's last acknowledgement",
    "sampled_at": "epoch seconds at which INFO was asked for (set by whoever takes the sample)",
    "answer_seconds": "how long the answer to INFO took, network included (set by the same)",
    "memory_limit": "bytes of the server's container, where they are known (jobs/looking.py, as all below)",
    "replicas_other_policy": "replicas whose maxmemory-policy is another than their primary's",
    "replicas_other_maxmemory": "replicas whose maxmemory is another",
    "settings_unsaved": "settings that the configuration file would give otherwise at a restart",
    "eviction_idle": "seconds for which half of the keys that are evicted were not used; left out where not known",
}

# Stored by position: append only. https://valkey.io/topics/lru-cache/ and, from volatile-lrm on, Redis 8.6.
POLICIES = (
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "volatile-lrm",
    "allkeys-lrm",
)


@dataclass(frozen=True)
class Reading:
    """One primary (or, with an empty `node`, the sum of several) at one moment."""

    at: float
    node: str
    values: Mapping[str, float]
    facts: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> float:
        """A value, 0 where the server does not tell it."""
        return self.values.get(name, 0.0)

    @property
    def counted_memory(self) -> float:
        """Bytes that the server compares with maxmemory: without replication and AOF buffers (evict.c)."""
        return max(self.get("used_memory") - self.get("mem_not_counted_for_evict"), 0.0)

    @property
    def fill(self) -> float | None:
        """Share of maxmemory in use, 0 to about 1; None where no maxmemory is set."""
        limit = self.get("maxmemory")
        return self.counted_memory / limit if limit else None

    @property
    def share_without_ttl(self) -> float | None:
        """Share of keys that never expire, exact as counted by the server; None without keys."""
        keys = self.get("keys")
        return 1 - self.get("keys_with_ttl") / keys if keys else None


def parse(text: bytes) -> Mapping[str, str]:
    """The lines `field:value` of an answer to INFO. Headings and lines without a colon are left out."""
    pairs = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in pairs if colon and not name.startswith("#")}


def reading(info: Mapping[str, str], at: float, node: str) -> Reading:
    """What we keep of one answer, asked for at epoch second `at`. Unreadable numbers are left out."""
    values = {name: number for name in COUNTERS + GAUGES if (number := _number(info.get(name))) is not None}
    values.update(_states(info))
    values.update(_keyspace(info))
    values.update(_replicas(info))
    values["sampled_at"] = at
    run = info.get("run_id", "")[:12]
    if len(run) == 12 and all(digit in "0123456789abcdef" for digit in run):
        values["run"] = float(int(run, 16))
    facts = {
        "role": info.get("role", ""),
        "maxmemory_policy": info.get("maxmemory_policy", ""),
        "mode": info.get("server_mode") or info.get("redis_mode", ""),
        "version": info.get("valkey_version") or info.get("redis_version", ""),
        "product": info.get("server_name", ""),
    }
    return Reading(at, node, values, {name: text for name, text in facts.items() if text})


def restored(at: float, node: str, values: Mapping[str, float]) -> Reading:
    """A reading again from its stored values; `at` is its slot, the exact moment is among the values."""
    index = int(values.get("policy", -1))
    facts = {"role": "master" if values.get("primary", 1.0) else "slave"}
    if 0 <= index < len(POLICIES):
        facts["maxmemory_policy"] = POLICIES[index]
    return Reading(values.get("sampled_at", at), node, values, facts)


def _number(text: str | None) -> float | None:
    try:
        number = float((text or "").rstrip("%"))
    except ValueError:
        return None
    return number if isfinite(number) else None


def _states(info: Mapping[str, str]) -> dict[str, float]:
    policy = info.get("maxmemory_policy", "")
    aof = (info.get("aof_last_write_status", "ok"), info.get("aof_last_bgrewrite_status", "ok"))
    states = {
        "policy": float(POLICIES.index(policy)) if policy in POLICIES else -1.0,
        "primary": float(info.get("role", "master") == "master"),
        "allocator_told": float(info.get("mem_allocator", "").startswith("jemalloc")),
        "rdb_ok": float(info.get("rdb_last_bgsave_status", "ok") == "ok"),
        "aof_ok": float(aof == ("ok", "ok")),
    }
    if "master_link_status" in info:
        states["primary_link"] = float(info["master_link_status"] == "up")
    return states


def _keyspace(info: Mapping[str, str]) -> dict[str, float]:
    databases = [_fields(text) for name, text in info.items() if name.startswith("db") and name[2:].isdigit()]
    weights = [(database.get("expires", 0.0), database.get("avg_ttl", 0.0)) for database in databases]
    return {
        "keys": sum(database.get("keys", 0.0) for database in databases),
        "keys_with_ttl": sum(weight for weight, _ in weights),
        "avg_ttl_ms": mean(weights),
    }


def _replicas(info: Mapping[str, str]) -> dict[str, float]:
    texts = [text for name, text in info.items() if name.startswith("slave") and name[5:].isdigit()]
    online = [_fields(text) for text in texts if "state=online" in text.split(",")]
    lag = max((replica.get("lag", 0.0) for replica in online), default=0.0)
    return {"replicas_online": float(len(online)), "replica_lag": lag}


def _fields(text: str) -> dict[str, float]:
    """The numbers of a line such as `keys=2,expires=1,avg_ttl=0`."""
    pairs = (part.partition("=") for part in text.split(","))
    return {name: number for name, _, value in pairs if (number := _number(value)) is not None}


def mean(weighted: Sequence[tuple[float, float]]) -> float:
    """Of (weight, value) pairs; 0 where nothing weighs."""
    weight = sum(part for part, _ in weighted)
    return sum(part * value for part, value in weighted) / weight if weight else 0.0
