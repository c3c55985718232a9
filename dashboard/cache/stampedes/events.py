"""Which events of keys tell of stampedes, and what each of them means. Pure. https://valkey.io/topics/notifications/"""

from __future__ import annotations

from dashboard.cache.stampedes.report import Cause

GONE: dict[str, Cause] = {
    "expired": "expired",
    "evicted": "evicted",
    "del": "deleted",
    "rename_from": "deleted",
    "move_from": "deleted",
}
WHOLE = frozenset({"set", "restore", "copy_to", "rename_to", "move_to"})
"""Of a key that was written as a whole. Each refills it once more; what adds to a key does so only the first time."""
NEW = "new"
"""Of any key that was not there before, just before the event that says how it was written."""
ADDED = frozenset(
    """append setrange setbit incrby incrbyfloat hset hincrby hincrbyfloat lpush rpush linsert sadd zadd zincr xadd
    pfadd sunionstore sinterstore sdiffstore zunionstore zinterstore zdiffstore zrangestore sortstore""".split()
)

_ALWAYS = ("keymiss", *GONE, *sorted(WHOLE))


def flags(*, new: bool) -> str:
    """The flags of notify-keyspace-events that are needed.

    Where new keys are told of, that one event stands for the first refill of any type; else every type's own events are
    needed (h l s z t), which come with each write to it.
    """
    return "E$egmnx" if new else "E$eghlmstxz"


def events(*, new: bool) -> tuple[str, ...]:
    """The events that are listened to."""
    return (*_ALWAYS, NEW) if new else (*_ALWAYS, *sorted(ADDED))
