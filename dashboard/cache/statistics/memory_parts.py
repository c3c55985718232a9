"""Where the memory of a server is: what INFO tells of its parts, from the data to what the system has given. Pure.

used_memory is dataset and overhead; the overhead's parts are those which getMemoryOverheadData (object.c) adds up.
What the process holds beyond is fragmentation, and is told apart only by an allocator that keeps account (jemalloc):
https://valkey.io/commands/info/, section Memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dashboard.cache.statistics.info import Reading

Kind = Literal["part", "detail", "sum"]


@dataclass(frozen=True)
class Part:
    """Bytes, and their share of the resident memory. A `detail` is within the part before it, a `sum` of all before."""

    name: str
    says: str
    bytes: float
    share: float | None
    kind: Kind = "part"


_DETAILS = (
    ("mem_clients_normal", "client buffers", "of applications: queries that come in, answers that wait"),
    ("mem_clients_slaves", "replicas' buffers", "what replicas have not read yet, beyond the backlog"),
    ("mem_replication_backlog", "replication backlog", "kept for replicas that come back"),
    ("mem_aof_buffer", "AOF buffer", "writes that are not in the file yet"),
    ("mem_cluster_links", "cluster links", "buffers between the nodes of the cluster"),
    ("used_memory_startup", "at the start", "what the server needs when it is empty"),
)


def parts(reading: Reading) -> tuple[Part, ...]:
    """The rows of the table, of one primary or of the sum of several. Empty where the server tells no parts."""
    resident, used = reading.get("used_memory_rss"), reading.get("used_memory")
    if not used or "used_memory_overhead" not in reading.values:
        return ()

    def part(name: str, says: str, size: float, kind: Kind = "part") -> Part:
        return Part(name, says, size, size / resident if resident else None, kind)

    overhead = reading.get("used_memory_overhead")
    details = [part(name, says, reading.get(field), "detail") for field, name, says in _DETAILS]
    rest = max(overhead - sum(one.bytes for one in details), 0.0)
    rows = [
        part("dataset", "keys and values", reading.get("used_memory_dataset")),
        part("overhead", "all that is no data", overhead),
        *(one for one in details if one.bytes),
        part("tables and rest", "the tables that find keys and TTLs, scripts", rest, "detail"),
        part("used", "what the server has allocated", used, "sum"),
    ]
    if not resident:
        return tuple(rows)
    rows += [part(name, says, size) for name, says, size in _around(reading)]
    return (*rows, part("resident", "what the system has given the process", resident, "sum"))


def _around(reading: Reading) -> list[tuple[str, str, float]]:
    """What lies between used and resident memory. It can be negative: what is swapped out is used and not resident."""
    resident, used = reading.get("used_memory_rss"), reading.get("used_memory")
    if not reading.get("allocator_told"):
        return [("around it", "fragmentation, and what the allocator keeps; negative: swapped out", resident - used)]
    allocated, active = reading.get("allocator_allocated"), reading.get("allocator_active")
    held = reading.get("allocator_resident")
    return [
        ("fragmentation", "in pages that are used in part", active - allocated),
        ("kept by the allocator", "freed, and not given back", held - active),
        ("the process", "its program, stacks, and what is not the allocator's", resident - held - (used - allocated)),
    ]
