"""The eviction policies: what each does, when it is the right one, and which of them a server knows. Pure.

https://valkey.io/topics/lru-cache/; LRM (least recently modified) came with Redis 8.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """says: what it does when memory is full. when: for which cache it is the right one."""

    name: str
    says: str
    when: str

    @property
    def only_with_ttl(self) -> bool:
        return self.name.startswith("volatile-")

    @property
    def evicts(self) -> bool:
        return self.name != "noeviction"


ALL: tuple[Policy, ...] = (
    Policy(
        "allkeys-lru",
        "Evicts the keys that were not used for the longest time.",
        "The usual choice where some keys are used far more than others.",
    ),
    Policy(
        "allkeys-lfu",
        "Evicts the keys that are used least often; old use counts less and less.",
        "Where hot keys must survive scans and bursts of keys that are read once.",
    ),
    Policy(
        "allkeys-lrm",
        "Evicts the keys that were not written for the longest time, however often they are read.",
        "Where what is old is worth little even if it is still read.",
    ),
    Policy(
        "allkeys-random",
        "Evicts any key.",
        "Where all keys are used equally often: it costs the least.",
    ),
    Policy(
        "volatile-lru",
        "Of the keys with a TTL, evicts those that were not used for the longest time.",
        "Where one server holds a cache and data that must stay; these have no TTL.",
    ),
    Policy(
        "volatile-lfu",
        "Of the keys with a TTL, evicts those that are used least often.",
        "As volatile-lru, where hot keys must survive scans.",
    ),
    Policy(
        "volatile-lrm",
        "Of the keys with a TTL, evicts those that were not written for the longest time.",
        "As allkeys-lrm, beside data that must stay.",
    ),
    Policy(
        "volatile-random",
        "Evicts any key that has a TTL.",
        "Where all keys with a TTL are worth the same, beside data that must stay.",
    ),
    Policy(
        "volatile-ttl",
        "Of the keys with a TTL, evicts those that expire next.",
        "Where the applications' TTLs say what is worth keeping.",
    ),
    Policy(
        "noeviction",
        "Evicts nothing: commands that need memory fail.",
        "For data that must not be lost. A cache stops taking new keys when it is full.",
    ),
)
BY_NAME = {policy.name: policy for policy in ALL}

EVERYWHERE: tuple[str, ...] = tuple(policy.name for policy in ALL if not policy.name.endswith("-lrm"))
"""What every server since 4.0 knows: for where it cannot be asked."""

_LISTED = re.compile(r"one of the following:\s*(.+)$", re.DOTALL)


def policy_of(name: str) -> Policy:
    """What is known of a policy, or that nothing is: newer servers may have more."""
    return BY_NAME.get(name) or Policy(
        name, "This version of Cachedeck does not know this policy.", "See the server's manual."
    )


def listed_in(error: str) -> tuple[str, ...]:
    """The policies that a server lists when it refuses one, in the order of ALL, unknown ones last; () for none."""
    found = _LISTED.search(error)
    names = [name.strip() for name in found[1].split(",")] if found else []
    known = [policy.name for policy in ALL if policy.name in names]
    return (*known, *(name for name in names if name not in BY_NAME and re.fullmatch(r"[a-z]+(-[a-z]+)*", name)))
