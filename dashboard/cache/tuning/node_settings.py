"""Servers' settings: read on every node, set with a look whether it took, written to the configuration file.

What they mean stands in setting.py, what a change would do in tuning/effect.py. Who changes them, writes it down first
and takes it back when only a part of the nodes took it, is dashboard/jobs/tuning.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dashboard.cache.errors import CacheError, checked, translate
from dashboard.cache.notifications.flags import told_flags
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.replicas import replicas_of
from dashboard.cache.servers.setting import BY_NAME, SETTINGS
from dashboard.cache.tuning import policies

# What no server knows: its error to this one lists the policies that it does know.
_NO_POLICY = "cachedeck-asks"


@dataclass(frozen=True)
class NodeSettings:
    """What one node has. primary: its own name, or for a replica its primary's. values: those settings that it knows.

    problem: why nothing could be read, then there are no values. machine: bytes of memory of its machine; used: bytes
    that count against maxmemory; process: its id; each 0 where it is not told. config_file: path on its machine, or "".
    """

    node: str
    primary: str
    values: Mapping[str, str]
    problem: str = ""
    machine: int = 0
    used: int = 0
    config_file: str = ""
    process: int = 0

    @property
    def is_replica(self) -> bool:
        return self.node != self.primary


@dataclass(frozen=True)
class Put:
    """What became of setting a node's values. refused: nothing was changed. unknown: it cannot be told, no answer came.
    different: the server took it and has another value. now: as read back; empty where that failed."""

    state: Literal["applied", "refused", "unknown", "different"]
    now: Mapping[str, str]
    sentence: str = ""


def nodes_of(cache: Cache, *, replicas: bool = True) -> tuple[tuple[Node, str], ...]:
    """(node, name of its primary) of each primary, followed by its replicas. Raises CacheError."""
    found: list[tuple[Node, str]] = []
    for primary in cache.primaries():
        found.append((primary, primary.name))
        if replicas:
            try:
                found += [(replica, primary.name) for replica in replicas_of(cache, primary)]
            except CacheError:
                continue  # the primary's own settings say what is wrong with it
    return tuple(found)


def read(cache: Cache, *, replicas: bool = True) -> tuple[NodeSettings, ...]:
    """The settings of every node, two round trips each. Raises CacheError where the primaries cannot be told.

    A node that does not answer, or denies CONFIG GET, has its problem in place of its values; of the latter what INFO
    tells is there all the same (maxmemory and its policy).
    """
    return tuple(_of_node(cache, node, primary) for node, primary in nodes_of(cache, replicas=replicas))


def _of_node(cache: Cache, node: Node, primary: str) -> NodeSettings:
    try:
        *told, info = cache.pipeline(node, [*(("CONFIG", "GET", one.name) for one in SETTINGS), ("INFO",)])
    except CacheError as error:
        return NodeSettings(node.name, primary, {}, error.sentence)
    facts = info if isinstance(info, dict) else {}
    problem = next((translate(one, cache.name).sentence for one in told if isinstance(one, Exception)), "")
    values = {name: value for one in told if not isinstance(one, Exception) for name, value in pairs(one)}
    if not values:
        names = {"maxmemory": "maxmemory", "maxmemory_policy": "maxmemory-policy"}
        values = {name: str(facts[field]) for field, name in names.items() if field in facts}
    return NodeSettings(
        node.name,
        primary,
        {name: value for name, value in values.items() if name in BY_NAME},
        problem,
        _number(facts.get("total_system_memory")),
        max(_number(facts.get("used_memory")) - _number(facts.get("mem_not_counted_for_evict")), 0),
        str(facts.get("config_file", "")),
        _number(facts.get("process_id")),
    )


def policies_of(cache: Cache) -> tuple[str, ...]:
    """The eviction policies that the server knows, from its own answer to one that nobody knows (one round trip).

    () where it may not be asked: a read-only cache, CONFIG SET denied or renamed. Raises CacheError.
    """
    if cache.target.read_only:
        return ()
    (reply,) = cache.pipeline(cache.primaries()[0], [("CONFIG", "SET", "maxmemory-policy", _NO_POLICY)])
    # Not as translated for the operator: that is cut short.
    return policies.listed_in(str(reply)) if isinstance(reply, Exception) else ()


def put(cache: Cache, node: Node, wanted: Mapping[str, str]) -> Put:
    """Set values on one node and read them back. Two round trips; three where it takes one setting at a time.

    All at once where the server can (since 7.0), so that it takes all or none; an older one is given the rest no more
    after one that it refuses, and what it took is taken back. Raises ReadOnlyCache.
    """
    cache.require_writable()
    try:
        before = _values(cache, node, wanted)
        together = [word for pair in wanted.items() for word in pair]
        (reply,) = cache.pipeline(node, [("CONFIG", "SET", *together)])
        if isinstance(reply, Exception) and len(wanted) > 1 and _takes_one_only(reply):
            reply = _one_by_one(cache, node, wanted, before)
    except CacheError as error:
        return _after_silence(cache, node, wanted, error)
    if isinstance(reply, Exception):
        problem = reply if isinstance(reply, CacheError) else translate(reply, cache.name)
        return Put("refused", before, problem.sentence)
    return _seen(cache, node, wanted)


def rewrite(cache: Cache, node: Node) -> str:
    """Write a node's settings into its configuration file. "" when it is done, else why not. One round trip."""
    cache.require_writable()
    try:
        cache.execute("CONFIG", "REWRITE", node=node)
    except CacheError as error:
        return error.sentence
    return ""


def _values(cache: Cache, node: Node, names: Iterable[str]) -> dict[str, str]:
    replies = cache.pipeline(node, [("CONFIG", "GET", name) for name in names])
    return {name: value for reply in replies for name, value in pairs(checked(reply, cache.name))}


def _takes_one_only(reply: Exception) -> bool:
    """Before 7.0 CONFIG SET takes one pair: its complaint is about the number of arguments."""
    text = str(reply).lower()
    return "wrong number of arguments" in text or "unknown subcommand" in text


def _one_by_one(cache: Cache, node: Node, wanted: Mapping[str, str], before: Mapping[str, str]) -> Any:
    done: list[str] = []
    for name, value in wanted.items():
        (reply,) = cache.pipeline(node, [("CONFIG", "SET", name, value)])
        if isinstance(reply, Exception):
            cache.pipeline(node, [("CONFIG", "SET", name, before[name]) for name in done if name in before])
            return reply
        done.append(name)
    return b"OK"


def _after_silence(cache: Cache, node: Node, wanted: Mapping[str, str], error: CacheError) -> Put:
    """What was sent may have been done before the line broke: only another look tells."""
    try:
        now = _values(cache, node, wanted)
    except CacheError:
        return Put("unknown", {}, error.sentence)
    if differing(wanted, now):
        return Put("refused", now, error.sentence)
    return Put("applied", now)


def _seen(cache: Cache, node: Node, wanted: Mapping[str, str]) -> Put:
    try:
        now = _values(cache, node, wanted)
    except CacheError as error:
        return Put("unknown", {}, f"It was taken, but cannot be read back: {error.sentence}")
    other = differing(wanted, now)
    if other:
        told = ", ".join(f"{name} is {now.get(name, 'not told')}" for name in other)
        return Put("different", now, f"The server took it, and has another value all the same: {told}.")
    return Put("applied", now)


def differing(wanted: Mapping[str, str], has: Mapping[str, str]) -> tuple[str, ...]:
    """The names whose value is another, by meaning: the order of notification flags says nothing."""
    return tuple(name for name, value in wanted.items() if not same(name, value, has.get(name)))


def same(name: str, one: str, other: str | None) -> bool:
    """Whether two values mean the same to a server."""
    if other is None:
        return False
    if name == "notify-keyspace-events":
        return told_flags(one) == told_flags(other)
    return one == other


def pairs(reply: Any) -> Sequence[tuple[str, str]]:
    """(name, value) of CONFIG GET's reply: redis-py makes a dict of it, and leaves a list in a cluster's pipeline."""
    if isinstance(reply, Mapping):
        items = list(reply.items())
    elif isinstance(reply, list | tuple):
        items = list(zip(reply[::2], reply[1::2], strict=False))
    else:
        return ()
    return [(_text(name), _text(value)) for name, value in items]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
