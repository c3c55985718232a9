"""What it would save to hold the small strings of a namespace in hashes: measured on a sample, not preached.

"Hold related fields in one hash instead of many strings" saves where a hash stays a listpack, and costs where it
does not (https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/). So a
sample of the keys is loaded both ways into a private Valkey, and what each takes is read off there. The values live
in that server's memory for some seconds and nowhere else: they are in no snapshot, no log and no message.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dashboard.cache.errors import CacheError, Denied, WrongType, translate
from dashboard.cache.estimate import NOTHING, Estimate
from dashboard.cache.saving.private_server import Command, PrivateServer, private_server
from dashboard.cache.saving.report import (
    DEFAULT_ENTRIES,
    DEFAULT_VALUE,
    FIELDS,
    LEAST_SAMPLE,
    VALUE_LIMIT,
    Saving,
    SavingSnapshot,
    Way,
)
from dashboard.cache.selecting.fold import namespace_of, pattern_of
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.progress import Progress
from dashboard.cache.walking.walk import Budget, walk

SAMPLE = 5_000  # keys: what a table of keys takes is then known to a per cent
AT_ONCE = 100  # values in one pipeline: at most 1.6 MB
MOST_BYTES = 32 * 1024 * 1024  # of values in all
SECONDS = 60.0  # for finding the sample, in a large keyspace that has few such keys
MARGIN_MS = 86_400_000  # added to every TTL, so that no key expires while it is being measured


@dataclass(frozen=True)
class Options:
    """What to measure: a folded namespace, as printable text, and how many string keys it is known to have."""

    namespace: str
    separator: bytes
    keys: Estimate = NOTHING
    budget: Budget = field(default_factory=Budget)
    sample: int = SAMPLE


@dataclass
class _Sample:
    """Keys, values and PTTLs, in memory only."""

    pairs: dict[bytes, tuple[bytes, int]] = field(default_factory=dict, repr=False)
    bytes: int = 0
    too_large: int = 0

    def full(self, wanted: int) -> bool:
        return len(self.pairs) >= wanted or self.bytes >= MOST_BYTES


def measure_saving(cache: Cache, options: Options) -> Iterator[SavingSnapshot]:
    """Sample, load in each way, read off. Raises CacheError; to cancel it is to close it.

    On the managed cache: a walk for string keys of the namespace, and for each batch of it a pipeline of GETRANGE and
    PTTL for 100 keys at a time, at the budget's share of its time; CONFIG GET and INFO once.
    """
    began = time.monotonic()
    saving = _limits(cache, Saving(options.namespace, options.keys, "reading a sample"))
    sample = _Sample()
    progress = Progress(total=min(options.sample, round(options.keys.value) or options.sample))

    def snapshot() -> SavingSnapshot:
        return SavingSnapshot(replace(progress, elapsed=time.monotonic() - began), saving)

    yield snapshot()
    for busy, calls, longest, lost in _sampling(cache, options, sample):
        progress = replace(
            progress, examined=len(sample.pairs), busy=busy, calls=calls, longest_ms=longest * 1000, lost=lost
        )
        saving = _counted(saving, sample)
        yield snapshot()
    progress = replace(progress, total=len(sample.pairs))
    if saving.sampled >= LEAST_SAMPLE:
        for step in _measured(saving, sample, from_printable(options.namespace)):
            saving = step
            yield snapshot()
    progress, saving = replace(progress, ended=True), replace(saving, stage="")
    yield snapshot()


# --- the managed cache -----------------------------------------------------------------------------------------


def _limits(cache: Cache, saving: Saving) -> Saving:
    """How large a hash may be there as a listpack, and what the server is."""
    node = cache.primaries()[0]
    capabilities = cache.capabilities()
    config = _config(cache, node)
    entries, value = _limit(config, "entries"), _limit(config, "value")
    try:
        allocator = str(cache.execute("INFO", "memory", node=node).get("mem_allocator", ""))
    except Denied:
        allocator = ""
    names = (f"{capabilities.product} {capabilities.version}".strip(), allocator)
    release = (9, 0) if capabilities.product == "Valkey" else (7, 4)
    return replace(
        saving,
        entries=entries or DEFAULT_ENTRIES,
        value=value or DEFAULT_VALUE,
        told=bool(entries and value),
        # One field more than the limit would make a table of every hash.
        fields=max(min(FIELDS, entries or DEFAULT_ENTRIES), 1),
        managed=", ".join(name for name in names if name),
        fields_expire=capabilities.release >= release,
    )


def _config(cache: Cache, node: Node) -> Mapping[str, str]:
    try:
        reply = cache.execute("CONFIG", "GET", "hash-max-*", node=node)
    except CacheError:
        return {}  # denied, or not known to this server: the defaults are taken, and said
    flat = [part.decode("ascii", "replace") if isinstance(part, bytes) else str(part) for part in _flat(reply)]
    return dict(zip(flat[::2], flat[1::2], strict=False))


def _flat(reply: Any) -> Sequence[Any]:
    return [part for pair in reply.items() for part in pair] if isinstance(reply, dict) else reply


def _limit(config: Mapping[str, str], what: str) -> int:
    """Redis before 7.0 calls a listpack a ziplist."""
    text = config.get(f"hash-max-listpack-{what}") or config.get(f"hash-max-ziplist-{what}") or ""
    return int(text) if text.isdigit() else 0


def _sampling(cache: Cache, options: Options, sample: _Sample) -> Iterator[tuple[float, int, float, dict[str, str]]]:
    """Fill the sample; yields (seconds that servers were held, calls, the longest one's seconds, what was lost)."""
    name, separator, budget = from_printable(options.namespace), options.separator, options.budget
    selection = Selection(pattern=pattern_of(name), type="string")
    asked = longest = 0.0
    calls = 0
    for batch in walk(cache, selection, replace(budget, seconds=SECONDS)):
        keys = [key for key in batch.found if key not in sample.pairs and namespace_of(key, separator) == name]
        for start in range(0, len(keys), AT_ONCE):
            if sample.full(options.sample):
                break
            begun = time.monotonic()
            _read(cache, batch.node, keys[start : start + AT_ONCE][: options.sample - len(sample.pairs)], sample)
            took = time.monotonic() - begun
            asked, longest, calls = asked + took, max(longest, took), calls + 1
            time.sleep(took * (1 - budget.share) / budget.share)
        cost = batch.cost
        yield cost.busy + asked, cost.calls + calls, max(cost.longest, longest), batch.position.lost
        if sample.full(options.sample):
            return


def _read(cache: Cache, node: Node, keys: Sequence[bytes], sample: _Sample) -> None:
    """Values up to the limit and their TTLs. Raises CacheError (Denied where values may not be read)."""
    # One byte more than the limit shows a larger value, whatever its size.
    commands: list[tuple[Any, ...]] = [("GETRANGE", key, 0, VALUE_LIMIT) for key in keys]
    replies = cache.pipeline(node, [*commands, *(("PTTL", key) for key in keys)])
    for key, value, pttl in zip(keys, replies[: len(keys)], replies[len(keys) :], strict=True):
        for reply in (value, pttl):
            error = translate(reply, cache.name) if isinstance(reply, Exception) else None
            if error is not None and not isinstance(error, WrongType):
                raise error
        if isinstance(value, Exception) or isinstance(pttl, Exception) or pttl == -2:
            continue  # it has another type now, or has gone
        if len(value) > VALUE_LIMIT:
            sample.too_large += 1
            continue
        sample.pairs[key] = (value, int(pttl))
        sample.bytes += len(value)


def _counted(saving: Saving, sample: _Sample) -> Saving:
    # A listpack's limit is for fields too; of a name, what varies becomes the field.
    pairs = sample.pairs.values()
    return replace(
        saving,
        sampled=len(sample.pairs),
        mean=sample.bytes / len(sample.pairs) if sample.pairs else 0.0,
        too_large=sample.too_large,
        unfit=sum(len(value) > saving.value for value, _ in pairs),
        with_ttl=sum(pttl >= 0 for _, pttl in pairs),
    )


# --- the private server ----------------------------------------------------------------------------------------


def _measured(saving: Saving, sample: _Sample, name: bytes) -> Iterator[Saving]:
    """The same with one way more each time."""
    saving = replace(saving, stage="starting a private Valkey")
    yield saving
    limits = {"hash-max-listpack-entries": str(saving.entries), "hash-max-listpack-value": str(saving.value)}
    hashes = _hashes(sample.pairs, name, saving.fields)
    with private_server(limits) as server:
        saving = replace(saving, by=_itself(server), stage="loading them as strings")
        yield saving
        strings = Way(server.measure(_as_strings(sample.pairs)), len(sample.pairs))
        saving = replace(saving, strings=strings, stage="loading them as hashes")
        yield saving
        held = Way(server.measure(_as_hashes(hashes, sample.pairs)), len(hashes), _compact(server, hashes))
        saving = replace(saving, hashes=held, stage="giving each field a TTL")
        yield saving
        if saving.with_ttl and server.knows("HPEXPIRE", "nothing", 1000, "FIELDS", 1, "f"):
            timed = _with_field_ttls(hashes, sample.pairs)
            saving = replace(saving, timed=Way(server.measure(timed), len(hashes), _compact(server, hashes)))
        yield saving


def _itself(server: PrivateServer) -> str:
    info = {**server.execute("INFO", "server"), **server.execute("INFO", "memory")}
    version, allocator = info.get("valkey_version", ""), info.get("mem_allocator", "")
    return ", ".join(part for part in (f"Valkey {version}", allocator) if part)


Pairs = Mapping[bytes, tuple[bytes, int]]
Hashes = Mapping[bytes, Sequence[tuple[bytes, bytes]]]
"""Name of a hash -> (field, key) of what it holds."""


def _hashes(pairs: Pairs, name: bytes, fields: int) -> Hashes:
    """Which hash holds which key: what varies in the name is the field, what all have in common the hash's name."""
    head, star, rest = name.partition(b"*")
    tail = rest.rpartition(b"*")[2] if star else b""
    keys = sorted(pairs)
    return {
        head + str(start // fields).encode() + tail: [
            (key[len(head) : len(key) - len(tail)], key) for key in keys[start : start + fields]
        ]
        for start in range(0, len(keys), fields)
    }


def _as_strings(pairs: Pairs) -> Iterator[Command]:
    for key, (value, pttl) in pairs.items():
        yield ("SET", key, value, "PX", pttl + MARGIN_MS) if pttl >= 0 else ("SET", key, value)


def _as_hashes(hashes: Hashes, pairs: Pairs) -> Iterator[Command]:
    """A hash can have one TTL: it gets the longest of its keys, where all of them have one."""
    for hash_name, members in hashes.items():
        for field_name, key in members:
            yield ("HSET", hash_name, field_name, pairs[key][0])
        ttls = [pairs[key][1] for _, key in members]
        if min(ttls) >= 0:
            yield ("PEXPIRE", hash_name, max(ttls) + MARGIN_MS)


def _with_field_ttls(hashes: Hashes, pairs: Pairs) -> Iterator[Command]:
    for hash_name, members in hashes.items():
        for field_name, key in members:
            value, pttl = pairs[key]
            yield ("HSET", hash_name, field_name, value)
            if pttl >= 0:
                yield ("HPEXPIRE", hash_name, pttl + MARGIN_MS, "FIELDS", 1, field_name)


def _compact(server: PrivateServer, hashes: Hashes) -> int:
    return sum(server.execute("OBJECT", "ENCODING", name) in (b"listpack", "listpack") for name in hashes)
