"""What keyspace notifications cost: how many events each flag would make, by what happened lately, and what those take
of servers and network. Pure.

Counters tell of expired, evicted and missed keys exactly (INFO stats); of commands there are calls (INFO commandstats).
A call is taken for one event, two where a command tells two. So it is too much where a command had nothing to do (SET
NX of a key that is there), and too little where it names several keys (MSET, DEL), each of which is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.notifications.flags import CLASSES, WHERE, all_flags
from dashboard.cache.wording import NARROW, count, percent, size

EVENT_SECONDS = 2e-6
"""Of a server's time for one event with one listener: 1.2 to 1.9 µs measured with Valkey 9.1 and Redis 7.0 and keys of
20 bytes, by INFO commandstats (docs/events.md), rounded up. With nobody listening it is 0.7 µs."""
EVENT_BYTES = 100
"""Of the network, to one listener, with a key of about 35 bytes."""

_TOLD: Mapping[str, str] = {
    "$": """
        set setex psetex setnx mset msetnx msetex append setrange getset incr incrby incrbyfloat decr decrby setbit
        bitop bitfield pfadd pfmerge
    """,
    "h": """
        hset hmset hsetnx hdel hincrby hincrbyfloat hexpire hpexpire hexpireat hpexpireat hpersist hgetdel hgetex hsetex
    """,
    "l": """
        lpush rpush lpushx rpushx lpop rpop lset lrem ltrim linsert lmpop blpop brpop blmpop
        lmove lmove rpoplpush rpoplpush blmove blmove brpoplpush brpoplpush
    """,
    "s": "sadd srem spop smove smove sinterstore sunionstore sdiffstore",
    "z": """
        zadd zrem zincrby zpopmin zpopmax bzpopmin bzpopmax zmpop bzmpop zrangestore zinterstore zunionstore zdiffstore
        zremrangebyrank zremrangebyscore zremrangebylex geoadd geosearchstore
    """,
    "t": "xadd xdel xdelex xtrim xackdel xgroup xsetid",
    "g": """
        del unlink getdel delifeq delex expire pexpire expireat pexpireat persist getex copy restore
        rename rename renamenx renamenx move move setex psetex
    """,
}
"""Class -> the commands whose calls tell one of it, twice where a call tells two."""
_REMOVING = tuple("del unlink getdel delifeq delex".split())
_REPLACING = tuple("set setex psetex getset mset msetex".split())


@dataclass(frozen=True)
class Traffic:
    """What happened on one primary lately, per second. expired, evicted, misses, gained: keys; gained, that it has more
    than before. calls: of each command; None where that is not known. with_ttl: share of keys that have a TTL."""

    node: str
    expired: float = 0.0
    evicted: float = 0.0
    misses: float = 0.0
    gained: float = 0.0
    with_ttl: float = 0.0
    calls: Mapping[str, float] | None = field(default=None)


@dataclass(frozen=True)
class Cost:
    """What notifications cost: per second, of all primaries together. share: of one core."""

    events: float
    bytes: float
    share: float


def cost_of(events: float, each: float = EVENT_BYTES) -> Cost:
    """Of so many events a second, of so many bytes each, to one listener."""
    return Cost(events, events * each, events * EVENT_SECONDS)


def in_words(cost: Cost) -> str:
    """'1.2 k events/s (120 kB/s), about 0.2 % of one core of the servers'"""
    share = f"under 0.1{NARROW}%" if cost.share < 0.001 else f"about {percent(cost.share)}"
    return f"{count(cost.events)} events/s ({size(cost.bytes)}/s), {share} of one core of the servers"


def events_of(letter: str, lately: Traffic) -> Estimate | None:
    """Events a second that a class of one primary comes to; None where nothing tells that."""
    if letter in "xem":
        return exactly({"x": lately.expired, "e": lately.evicted, "m": lately.misses}[letter])
    calls = lately.calls
    if calls is None or letter not in CLASSES or letter == "c":
        return None
    if letter == "g":
        # SET with EX tells "expire", too. How many have it is not told: the share of keys with a TTL is the best guess.
        told, sets = _calls(calls, _TOLD["g"].split()), calls.get("set", 0.0)
        return Estimate(told + sets * lately.with_ttl, told, told + sets)
    if letter == "n":
        return _new(lately, calls)
    if letter == "o":
        replaced, new = _calls(calls, _REPLACING), _new(lately, calls)
        return Estimate(max(replaced - new.value, 0.0), max(replaced - new.high, 0.0), replaced)
    if letter == "d":
        # Commands of modules have a dot in their names; which of them write is not known.
        most = sum(many for name, many in calls.items() if "." in name)
        return Estimate(most, 0.0, most)
    return exactly(_calls(calls, _TOLD[letter].split()))


def all_events_of(letter: str, lately: Iterable[Traffic]) -> Estimate | None:
    """Of all primaries together; None where it is not known of one of them."""
    parts = [events_of(letter, one) for one in lately]
    known = [one for one in parts if one is not None]
    return _added(known) if known and len(known) == len(parts) else None


def expected(flags: str, lately: Sequence[Traffic]) -> tuple[Cost, Estimate, str] | None:
    """(what flags would cost, events a second with their bounds, classes of which nothing is known); None where nothing
    is known at all. An event is told twice where both K and E are on, and never without one of them."""
    letters = all_flags(flags)
    found = {letter: all_events_of(letter, lately) for letter in CLASSES if letter in letters}
    known = [one for one in found.values() if one is not None]
    if not lately or (found and not known):
        return None
    channels = len(letters & set(WHERE))
    told = _added([Estimate(*(channels * bound for bound in one)) for one in known])
    unknown = "".join(letter for letter, one in found.items() if one is None)
    return cost_of(told.value), told, unknown


def rate(events: Estimate | None) -> str:
    """'120/s', '400 to 1.2 k/s', 'up to 30/s'; 'not known'."""
    if events is None:
        return "not known"
    low, high = count(events.low), count(events.high)
    if low == high or events.high - events.low < 0.05 * events.high:
        return f"{count(events.value)}/s"
    return f"{low} to {high}/s" if events.low >= 0.05 * events.high else f"up to {high}/s"


def _new(lately: Traffic, calls: Mapping[str, float]) -> Estimate:
    """Keys that were added: those that are there more than before, and those that went meanwhile."""
    least = max(lately.gained + lately.expired + lately.evicted, 0.0)
    most = max(lately.gained + lately.expired + lately.evicted + _calls(calls, _REMOVING), 0.0)
    return Estimate(most, least, most)


def _calls(calls: Mapping[str, float], names: Iterable[str]) -> float:
    return sum(calls.get(name, 0.0) for name in names)


def _added(parts: Iterable[Estimate]) -> Estimate:
    """Bounds, not intervals of chance: they add up as they are."""
    parts = list(parts)
    return Estimate(sum(one.value for one in parts), sum(one.low for one in parts), sum(one.high for one in parts))
