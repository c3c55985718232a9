"""How long the keys that are evicted now had been idle, and how much TTL they had left: by drawing keys at random.

RANDOMKEY draws as fairly as the server itself does; what it found is asked for with OBJECT and PTTL, which do not touch
a key. A look takes some thousand small commands a primary and never walks the keyspace. What the drawn keys tell is
worked out in eviction/figures.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.cache.errors import CacheError, checked, translate
from dashboard.cache.eviction.figures import USUAL_SAMPLES, Drawn, EvictionAge, NodeAge, age_of
from dashboard.cache.reading.keys import GONE
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import Line, head

DRAWN = 2000
"""Keys a primary and look: with maxmemory-samples 5 the median's place is then known to within 7 of 100."""
BATCH = 100
"""Keys a round trip: the server is held for about 0.1 ms, or 0.3 ms for what is then asked of each key."""
SECONDS = 0.5
"""A look at one primary draws no more keys after so long."""
LEAST_DRAWN = 500
"""Of a cluster with many primaries each gets fewer, down to so many."""
FEW_FIT, MORE = 0.2, 4
"""Where less than this share of the drawn keys has a TTL, a look under volatile-* draws so many times as many more."""

BESIDE_SECONDS = 300.0
"""So rarely does whoever looks by themselves ask for a look: a page that is open, and the worker."""
BESIDE_SHARE = 0.01
"""Two things are asked of each key, and a server counts both among its hits: no more than so many of the look-ups of
BESIDE_SECONDS are ours, so that what we look at stays what it is."""
LEAST_BESIDE = 150
"""But so many keys in any case: of fewer nothing is told (eviction_figures.LEAST)."""

NO_EVICTION = "The policy is noeviction: no key is evicted."
NO_LIMIT = "There is no memory limit (maxmemory 0): no key is evicted."
NO_KEYS = "There are no keys."
TOO_FEW = "Only {fit} of {drawn} keys that were drawn may be evicted: too few to tell their age."


@dataclass(frozen=True)
class Found:
    """One drawn key with its name."""

    key: bytes
    is_like: Drawn


def eviction_age(cache: Cache, drawn: int = DRAWN, seconds: float = SECONDS, *, beside: bool = False) -> EvictionAge:
    """Of every primary. 1 round trip and about 2 * drawn / BATCH each. beside: draw fewer keys where there is little
    traffic, for who looks once in BESIDE_SECONDS. Raises CacheError where the primaries cannot be told; a primary that
    cannot be asked has its problem in place of figures."""
    nodes = cache.primaries()
    each = max(min(drawn, 2 * drawn // len(nodes)), min(drawn, LEAST_DRAWN)) if nodes else 0
    return EvictionAge(time.time(), tuple(_of_node(cache, node, each, seconds, beside) for node in nodes))


def draw(cache: Cache, node: Node, policy: str, count: int, seconds: float = SECONDS) -> tuple[list[Found], int]:
    """(keys drawn at random with what is known of each, round trips). A key that was gone before it was asked about is
    left out. Fewer keys where time runs out. Raises CacheError."""
    # A server keeps one of the two, by its policy, and answers the other with an error.
    heads = (head(b"PTTL"), head(b"OBJECT", b"FREQ" if policy.endswith("-lfu") else b"IDLETIME"))
    found: list[Found] = []
    drawn, calls, ends = 0, 0, time.monotonic() + seconds
    line = Line(cache, node)
    try:
        while drawn < count and time.monotonic() < ends:
            line.send([("RANDOMKEY",)] * min(BATCH, count - drawn))
            names = [checked(name, cache.name) for name in line.read()]
            keys = [name for name in names if isinstance(name, bytes)]
            drawn, calls = drawn + len(names), calls + 1
            if not keys:
                break
            line.ask_of_each(heads, keys)
            replies, calls = line.read(), calls + 1
            rows = list(zip(replies[::2], replies[1::2], strict=True))
            _raise_denied(cache, rows)
            found += [Found(key, one) for key, row in zip(keys, rows, strict=True) if (one := _drawn(policy, *row))]
    finally:
        line.close()
    return found, calls


def _of_node(cache: Cache, node: Node, count: int, seconds: float, beside: bool) -> NodeAge:
    begun = time.monotonic()
    looked = NodeAge(node.name)
    try:
        looked, reads = _conditions(cache, node)
        if looked.problem:
            return looked
        if beside:
            count = min(count, max(round(BESIDE_SHARE * reads * BESIDE_SECONDS / 2), LEAST_BESIDE))
        found, calls = draw(cache, node, looked.policy, count, seconds)
        fit = sum(one.is_like.ttl is not None for one in found)
        if looked.policy.startswith("volatile-") and fit < FEW_FIT * len(found):
            more, again = draw(cache, node, looked.policy, count * MORE, seconds)
            found, calls = found + more, calls + again
    except CacheError as error:
        return replace(looked, problem=error.sentence)
    spent = time.monotonic() - begun
    age = age_of(replace(looked, calls=calls + 1, seconds=spent), [one.is_like for one in found])
    if age.told:
        return age
    return replace(age, problem=TOO_FEW.format(fit=age.fit, drawn=age.drawn) if found else NO_KEYS)


def _conditions(cache: Cache, node: Node) -> tuple[NodeAge, float]:
    """What evicts there, and look-ups per second: the mean since the start, or of just now where that is less."""
    info, samples, keys = cache.pipeline(node, [("INFO",), ("CONFIG", "GET", "maxmemory-samples"), ("DBSIZE",)])
    facts: dict[str, Any] = checked(info, cache.name)
    told = _samples(samples)
    looked = NodeAge(
        node.name,
        str(facts.get("maxmemory_policy", "")),
        told or USUAL_SAMPLES,
        samples_told=told is not None,
        keys=keys if isinstance(keys, int) else 0,
    )
    read = float(facts.get("keyspace_hits", 0)) + float(facts.get("keyspace_misses", 0))
    reads = min(
        read / max(float(facts.get("uptime_in_seconds", 0)), 1.0), float(facts.get("instantaneous_ops_per_sec", 0))
    )
    if not facts.get("maxmemory"):
        return replace(looked, problem=NO_LIMIT), reads
    return (replace(looked, problem=NO_EVICTION) if looked.policy == "noeviction" else looked), reads


def _samples(reply: Any) -> int | None:
    """Of CONFIG GET's reply: a dict, or in a cluster's pipeline a list; None where it is denied."""
    pairs = reply.values() if isinstance(reply, dict) else reply[1::2] if isinstance(reply, list) else ()
    try:
        return max(int(next(iter(pairs))), 1)
    except (StopIteration, TypeError, ValueError):
        return None


def _raise_denied(cache: Cache, rows: Sequence[tuple[Any, Any]]) -> None:
    """Of a key that is gone OBJECT answers nothing; an error to every one of them is a refusal of the command."""
    for replies in zip(*rows, strict=True):
        if all(isinstance(one, Exception) for one in replies):
            raise translate(replies[0], cache.name)


def _drawn(policy: str, pttl: Any, use: Any) -> Drawn | None:
    if not isinstance(pttl, int) or pttl == GONE or not isinstance(use, int):
        return None
    ttl = pttl / 1000 if pttl >= 0 else None
    return Drawn(frequency=use, ttl=ttl) if policy.endswith("-lfu") else Drawn(idle=float(use), ttl=ttl)
