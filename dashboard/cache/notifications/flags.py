"""The flags of notify-keyspace-events: what each makes a server tell, and which of them a subscription needs. Pure.

https://valkey.io/topics/notifications/, https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/; letters by
notify.c, events by the calls of notifyKeyspaceEvent in the sources of Valkey 9 and Redis 6.2 to 8.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboard.cache.events.subscription import Subscription
from dashboard.cache.selecting import glob
from dashboard.cache.selecting.glob import is_wild

IN_A = "g$lshzxetd"
"""What the letter A stands for."""
WHERE = "KE"
"""To which channels: by key, by event. Nothing is told without one of them."""
CLASSES = "xemg$hslztdnoc"
"""Classes of events, in the order in which they are offered: what a cache is watched for comes first."""
ORDER = WHERE + CLASSES
OF_FIELDS = "STIV"
"""Channels for fields of hashes, Redis 8.8 (redis.io, Subkey notifications): kept where they are, and not offered."""


@dataclass(frozen=True)
class Flag:
    """One letter. label: what it is called. meaning: when something is told. events: names, as far as servers have them
    (modules add their own). since: (product, release) from which on a server knows it; () for all since 6.2."""

    letter: str
    label: str
    meaning: str
    events: tuple[str, ...] = ()
    since: tuple[tuple[str, tuple[int, ...]], ...] = ()


FLAGS: tuple[Flag, ...] = (
    Flag("K", "By key", "Tell it on __keyspace@<db>__:<key>: for who follows certain keys."),
    Flag("E", "By event", "Tell it on __keyevent@<db>__:<event>: for who follows a sort of event, whatever the key."),
    Flag("x", "Expired keys", "A key is removed because its TTL was over.", ("expired",)),
    Flag("e", "Evicted keys", "A key is removed because memory was full.", ("evicted",)),
    Flag("m", "Missed keys", "A command asks for a key that is not there.", ("keymiss",)),
    Flag(
        "g",
        "Keys of any type",
        "A key is deleted, gets or loses a TTL, is renamed, moved, copied or restored.",
        tuple("del expire persist rename_from rename_to move_from move_to copy_to restore".split()),
    ),
    Flag(
        "$",
        "Strings",
        "A string is written. Every SET tells it.",
        tuple("set setrange incrby incrbyfloat append setbit pfadd".split()),
    ),
    Flag(
        "h",
        "Hashes",
        "A hash, or a field of one, is written, expires or is removed.",
        tuple("hset hincrby hincrbyfloat hdel hexpire hexpired hpersist".split()),
    ),
    Flag("s", "Sets", "A set is changed.", tuple("sadd srem spop sinterstore sunionstore sdiffstore".split())),
    Flag(
        "l",
        "Lists",
        "A list is changed.",
        tuple("lpush rpush lpop rpop linsert lset lrem ltrim sortstore".split()),
    ),
    Flag(
        "z",
        "Sorted sets",
        "A sorted set is changed.",
        tuple(
            "zadd zincr zrem zremrangebyscore zremrangebyrank zremrangebylex zpopmin zpopmax zinterstore zunionstore "
            "zdiffstore zrangestore geosearchstore".split()
        ),
    ),
    Flag(
        "t",
        "Streams",
        "A stream, or a group of its readers, is changed.",
        tuple(
            "xadd xtrim xdel xsetid xgroup-create xgroup-createconsumer xgroup-delconsumer xgroup-destroy "
            "xgroup-setid".split()
        ),
    ),
    Flag("d", "Modules", "What a module tells of keys of its own type."),
    Flag("n", "New keys", "A key is added that was not there before.", ("new",), (("Valkey", ()), ("Redis", (7, 0)))),
    Flag("o", "Overwritten keys", "The whole value of a key is replaced.", ("overwritten",), (("Redis", (8, 2)),)),
    Flag("c", "Other type", "A value is replaced by one of another type.", ("type_changed",), (("Redis", (8, 2)),)),
)
BY_LETTER: Mapping[str, Flag] = {flag.letter: flag for flag in FLAGS}
_OF_EVENT: Mapping[str, str] = {event: flag.letter for flag in FLAGS for event in flag.events}


def all_flags(text: str) -> frozenset[str]:
    """A setting's value as single letters: A stands for most of them (notify.c)."""
    return frozenset(text.replace("A", IN_A))


def told_flags(text: str) -> frozenset[str]:
    """Those of a setting's value that a server tells: beside A it leaves out n, on or not (keyspaceEventsFlagsToString
    in notify.c)."""
    found = all_flags(text)
    return found - {"n"} if found.issuperset(IN_A) else found


def written(letters: Iterable[str]) -> str:
    """Letters as a setting's value: each once, in one order, A where all of it is there. Unknown letters come last."""
    found = all_flags("".join(letters))
    parts = [one for one in WHERE if one in found]
    if found.issuperset(IN_A):
        parts, found = [*parts, "A"], found - set(IN_A)
    parts += [one for one in CLASSES if one in found]
    return "".join([*parts, *sorted(found - set(ORDER))])


def tells(text: str) -> str:
    """What a setting's value makes a server tell of: `expired, evicted (by event)`; "" where that is nothing."""
    found = all_flags(text)
    where = [BY_LETTER[one].label.lower() for one in WHERE if one in found]
    classes = [BY_LETTER[one].label.lower() for one in CLASSES if one in found]
    if found.issuperset(IN_A):
        left_out = [BY_LETTER[one].label.lower() for one in "mn" if one not in found]
        classes = ["everything" + (f" but {' and '.join(left_out)}" if left_out else "")]
    return f"{', '.join(classes)} ({' and '.join(where)})" if where and classes else ""


def knows(flag: Flag, product: str, release: tuple[int, ...]) -> bool:
    """Whether a server of this product and release knows a flag; one of which nothing is known is taken to know it."""
    if not flag.since or not release:
        return True
    since = dict(flag.since).get(product)
    return since is not None and release >= since


def missing_flags(told: Mapping[str, str], subscription: Subscription) -> str:
    """Which flags some primary lacks, so that the subscription would not hear (all) that it asks for; "" for none.

    told: node -> its notify-keyspace-events, as notifying.flags_of() gives it. The answer is written as the setting is
    (`Ex`, `KA`). An event that is named needs its own class. A pattern of events, the events of keys (`key`), and a
    name that is in no list need any class at all that can match: where one is on, something is heard; where none is,
    all of them are named.
    """
    lacking: set[str] = set()
    for flags in told.values():
        has = all_flags(flags)
        for kind, where in (("event", "E"), ("key", "K")):
            names = subscription.names(kind)  # type: ignore[arg-type]
            if names and where not in has:
                lacking.add(where)
            for name in names:
                tell = tellers(name) if kind == "event" else CLASSES
                if not has & set(tell):
                    # Who listens for everything need not switch on what A leaves out on purpose.
                    lacking |= set(tell) & set(IN_A) or set(tell)
    return written(lacking)


def tellers(name: bytes) -> str:
    """The classes that can tell events of this name, or glob pattern of names: each, where the name is in no list."""
    if not is_wild(name) and b"\\" not in name:
        return _OF_EVENT.get(name.decode("ascii", "replace"), CLASSES)
    if not name.strip(b"*"):
        return CLASSES
    return "".join({letter for event, letter in _OF_EVENT.items() if glob.matches(name, event.encode())}) or CLASSES
