"""What /metrics tells of caches and of Cachedeck itself: every name, its kind and labels, and where it is from. Pure.

Names that begin with redis_ are those of the common exporter, which existing dashboards and alerts know: exporter.go of
https://github.com/oliver006/redis_exporter (2026-08). Where its labels tell databases or replicas apart, ours do not:
a sample holds their sum, or the worst.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "unknown"]
"""unknown: a counter whose usual name does not end in _total, which a counter's has to."""

NODE = ("cache", "node")
COMMAND = (*NODE, "cmd")
CACHE = ("cache",)


@dataclass(frozen=True)
class Family:
    """One name. says: what it is, with its unit. field: of a sample, "" where it is put together otherwise; times
    `scale`, it has the name's unit."""

    name: str
    kind: Kind
    says: str
    labels: tuple[str, ...] = NODE
    field: str = ""
    scale: float = 1.0


def _gauge(field: str, name: str, says: str, scale: float = 1.0) -> Family:
    return Family(f"redis_{name}", "gauge", says, field=field, scale=scale)


def _counter(field: str, name: str, says: str) -> Family:
    return Family(f"redis_{name}_total", "counter", says, field=field)


OF_SAMPLES: tuple[Family, ...] = (
    _gauge("uptime_in_seconds", "uptime_in_seconds", "Seconds since the server started."),
    _gauge("connected_clients", "connected_clients", "Clients, without replicas."),
    _gauge("blocked_clients", "blocked_clients", "Clients that wait in a blocking command."),
    _gauge("maxclients", "max_clients", "Most clients that the server takes."),
    _gauge("tracking_clients", "tracking_clients", "Clients that are told of keys they keep."),
    _gauge("pubsub_clients", "pubsub_clients", "Clients that have subscribed."),
    _gauge(
        "client_recent_max_input_buffer",
        "client_recent_max_input_buffer_bytes",
        "The largest input buffer of a client lately, in bytes.",
    ),
    _gauge(
        "client_recent_max_output_buffer",
        "client_recent_max_output_buffer_bytes",
        "The largest output buffer of a client lately, in bytes.",
    ),
    _gauge("used_memory", "memory_used_bytes", "Memory that the server has allocated, in bytes."),
    _gauge("used_memory_rss", "memory_used_rss_bytes", "Memory as the operating system sees it, in bytes."),
    _gauge("used_memory_peak", "memory_used_peak_bytes", "The most that was ever allocated, in bytes."),
    _gauge("used_memory_dataset", "memory_used_dataset_bytes", "Of the memory used, the data, in bytes."),
    _gauge("used_memory_overhead", "memory_used_overhead_bytes", "Of the memory used, what is no data, in bytes."),
    _gauge("used_memory_startup", "memory_used_startup_bytes", "What an empty server uses, in bytes."),
    _gauge("used_memory_scripts", "memory_used_scripts_bytes", "Scripts and functions, in bytes."),
    _gauge("used_memory_vm_total", "memory_used_vm_total", "The interpreter of scripts, in bytes."),
    _gauge("allocator_allocated", "allocator_allocated_bytes", "What the allocator has handed out, in bytes."),
    _gauge("allocator_active", "allocator_active_bytes", "Pages that it needs for that, in bytes."),
    _gauge("allocator_resident", "allocator_resident_bytes", "Pages that it holds, in bytes."),
    _gauge("active_defrag_running", "active_defrag_running", "1 while memory is defragmented."),
    _gauge("maxmemory", "memory_max_bytes", "The setting maxmemory, in bytes; 0 is no limit."),
    _gauge("total_system_memory", "total_system_memory_bytes", "Memory of the machine, in bytes."),
    _gauge("mem_fragmentation_ratio", "mem_fragmentation_ratio", "Memory of the process by memory used."),
    _gauge(
        "mem_not_counted_for_evict",
        "mem_not_counted_for_eviction_bytes",
        "Buffers that do not count against maxmemory, in bytes.",
    ),
    _gauge("mem_clients_normal", "mem_clients_normal", "Buffers of clients, in bytes."),
    _gauge("mem_clients_slaves", "mem_clients_slaves", "Buffers of replicas, in bytes."),
    _gauge("mem_replication_backlog", "mem_replication_backlog_bytes", "The replication backlog, in bytes."),
    _gauge(
        "mem_total_replication_buffers",
        "mem_total_replication_buffers_bytes",
        "The backlog and what replicas have not read yet, in bytes.",
    ),
    _gauge("mem_aof_buffer", "mem_aof_buffer_bytes", "What waits for the append only file, in bytes."),
    _gauge("mem_cluster_links", "mem_cluster_links_bytes", "Buffers between nodes of a cluster, in bytes."),
    _gauge("lazyfreed_objects", "lazyfreed_objects", "Objects that were freed in the background."),
    _gauge("lazyfree_pending_objects", "lazyfree_pending_objects", "Objects that wait to be freed."),
    _gauge("loading", "loading_dump_file", "1 while the server loads its data."),
    _gauge("rdb_changes_since_last_save", "rdb_changes_since_last_save", "Changes since the last snapshot."),
    _gauge("rdb_bgsave_in_progress", "rdb_bgsave_in_progress", "1 while a snapshot is written."),
    _gauge("rdb_last_save_time", "rdb_last_save_timestamp_seconds", "When the last snapshot was written."),
    _gauge("rdb_ok", "rdb_last_bgsave_status", "1 where the last snapshot was written well."),
    _gauge("aof_enabled", "aof_enabled", "1 where the server keeps an append only file."),
    _gauge("aof_rewrite_in_progress", "aof_rewrite_in_progress", "1 while the append only file is rewritten."),
    _gauge("aof_last_cow_size", "aof_last_cow_size_bytes", "Memory copied while it was last rewritten, in bytes."),
    _gauge("connected_slaves", "connected_slaves", "Replicas that are connected."),
    _gauge("replica_lag", "connected_slave_lag_seconds", "Seconds since the slowest replica has answered."),
    _gauge("expired_stale_perc", "expired_stale_percentage", "Keys that have expired and are still there, percent."),
    _gauge(
        "current_eviction_exceeded_time",
        "current_eviction_exceeded_time_ms",
        "For how long memory has been above maxmemory, in milliseconds; 0 while it is not.",
    ),
    _gauge("latest_fork_usec", "latest_fork_usec", "How long the last fork took, in microseconds."),
    _gauge("rdb_last_cow_size", "rdb_last_cow_size_bytes", "Memory copied during the last snapshot, in bytes."),
    _gauge("keys", "db_keys", "Keys of all databases together."),
    _gauge("keys_with_ttl", "db_keys_expiring", "Of these, keys that have a TTL."),
    _gauge("avg_ttl_ms", "db_avg_ttl_seconds", "Mean TTL of those, the server's estimate.", 0.001),
    _counter("total_connections_received", "connections_received", "Connections that were made."),
    _counter("total_commands_processed", "commands_processed", "Commands that were carried out."),
    _counter("rejected_connections", "rejected_connections", "Connections refused because of maxclients."),
    _counter("total_net_input_bytes", "net_input_bytes", "Bytes that came in."),
    _counter("total_net_output_bytes", "net_output_bytes", "Bytes that went out."),
    _counter("expired_keys", "expired_keys", "Keys that have expired."),
    _counter("expired_time_cap_reached_count", "expired_time_cap_reached", "Looks for expired keys cut short."),
    _counter("expire_cycle_cpu_milliseconds", "expire_cycle_cpu_time_ms", "Time spent on these looks, in ms."),
    _counter("evicted_keys", "evicted_keys", "Keys that were evicted because of maxmemory."),
    _counter("evicted_clients", "evicted_clients", "Clients disconnected because of maxmemory-clients."),
    _counter("total_eviction_exceeded_time", "eviction_exceeded_time_ms", "Time above maxmemory, in milliseconds."),
    _counter(
        "client_output_buffer_limit_disconnections",
        "client_output_buffer_limit_disconnections",
        "Clients disconnected because their output buffer was full.",
    ),
    _counter(
        "client_query_buffer_limit_disconnections",
        "client_query_buffer_limit_disconnections",
        "Clients disconnected because their input buffer was full.",
    ),
    _counter("keyspace_hits", "keyspace_hits", "Look-ups that found their key."),
    _counter("keyspace_misses", "keyspace_misses", "Look-ups that found none."),
    _counter("used_cpu_sys", "cpu_sys_seconds", "Processor time in the system."),
    _counter("used_cpu_user", "cpu_user_seconds", "Processor time in the server itself."),
    _counter("used_cpu_sys_main_thread", "cpu_sys_main_thread_seconds", "Of it, of the thread that runs commands."),
    _counter("used_cpu_user_main_thread", "cpu_user_main_thread_seconds", "Of it, of the thread that runs commands."),
    Family("redis_total_error_replies", "unknown", "Errors that were answered.", field="total_error_replies"),
    Family("cachedeck_aof_ok", "gauge", "1 where the append only file was written well.", field="aof_ok"),
    Family("cachedeck_replicas_online", "gauge", "Replicas that are in step.", field="replicas_online"),
    Family("cachedeck_answer_seconds", "gauge", "How long the answer to INFO took.", field="answer_seconds"),
)
"""Of each primary that is sampled now. A server that does not tell a figure has none of that name."""

OF_COMMANDS: tuple[Family, ...] = (
    Family("redis_commands_total", "counter", "Calls of a command.", COMMAND),
    Family("redis_commands_duration_seconds_total", "counter", "Time that the server spent in them.", COMMAND),
    Family("redis_commands_rejected_calls_total", "counter", "Calls that were refused before they ran.", COMMAND),
    Family("redis_commands_failed_calls_total", "counter", "Calls that failed while they ran.", COMMAND),
)
"""Of each primary and command, sampled more rarely; the last two only of commands of which there was such a call."""

OF_CACHES: tuple[Family, ...] = (
    Family("redis_up", "gauge", "1 while a primary is sampled; node is empty where none ever was."),
    Family("redis_start_time_seconds", "gauge", "When the server was started, in epoch seconds."),
    Family("redis_instance_info", "gauge", "1, with the role and the policy.", (*NODE, "role", "maxmemory_policy")),
    Family("cachedeck_sample_age_seconds", "gauge", "Age of the newest sample; none where there is no sample.", CACHE),
    Family("cachedeck_jobs", "gauge", "Jobs that are kept, by their state.", (*CACHE, "state")),
    Family("cachedeck_trials_open", "gauge", "Trials of settings that have not ended.", (*CACHE, "purpose")),
    Family("cachedeck_trials_overdue", "gauge", "Of these, trials whose time is over for half a minute.", CACHE),
    Family("cachedeck_trials_stuck", "gauge", "Of these, trials that could not be taken back everywhere.", CACHE),
)

OF_ITSELF: tuple[Family, ...] = (
    Family("cachedeck_info", "gauge", "1, with the version.", ("version",)),
    Family("cachedeck_workers", "gauge", "Workers that live: without one, nothing is sampled or taken back.", ()),
    Family("cachedeck_sample_period_seconds", "gauge", "How often caches are sampled.", ()),
)

OF_ALL: tuple[Family, ...] = (
    Family("cachedeck_vault_bytes", "gauge", "What the vault takes on the disk.", ()),
    Family("cachedeck_vault_limit_bytes", "gauge", "What it may take.", ()),
    Family("cachedeck_audit_entries_total", "counter", "Entries of the audit trail.", ()),
)
"""Told to tokens of all caches only."""

FAMILIES: Mapping[str, Family] = {one.name: one for one in (*OF_SAMPLES, *OF_COMMANDS, *OF_CACHES, *OF_ITSELF, *OF_ALL)}
