"""The settings of a server that Cachedeck shows and changes: what each is, and what a typed value means. Pure.

Names and bounds: valkey.conf and config.c of Valkey 9.1, redis.conf of Redis 6.2 to 8.2. A server that has narrower
bounds says so itself when it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dashboard.cache.wording import number_of, size

Kind = Literal["memory", "policy", "number", "yes or no", "client memory", "flags"]

INT_MAX = 2**31 - 1
LARGEST = 2**63 - 1
"""maxmemory is an unsigned long long, which INFO and most clients read as signed."""

# memtoull (util.c) knows no larger unit, and takes neither a fraction nor white space.
_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}
# Of notify.c: K E for where, the others for what; n (new keys), m (misses), o and c (overwritten, another type: Redis
# 8.2) are not in A. S T I V tell of fields of hashes (Redis 8.8).
FLAGS = frozenset("KEg$lshzxentdmocASTIV")
_NUMBER = re.compile(r"[0-9]{1,20}")
_MEMORY = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,6})?)\s*([a-z]*|%)", re.IGNORECASE)


class BadValue(ValueError):
    """A value cannot be meant. `name`: of the setting; `sentence` says what is wrong, and what would do."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name
        self.sentence = sentence


@dataclass(frozen=True)
class Setting:
    """One setting. label: what a form calls it. meaning: one sentence. unit: of a number, "" for none.

    editable: whether the policy editor offers it (what is changed for measurements only is not). default: what a server
    has that was told nothing; None where that differs from version to version.
    """

    name: str
    label: str
    kind: Kind
    meaning: str
    least: int = 0
    most: int = INT_MAX
    unit: str = ""
    editable: bool = True
    default: str | None = None


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "maxmemory",
        "Memory limit",
        "memory",
        "From here on the policy decides: keys are evicted, or writes fail. 0 is no limit.",
        most=LARGEST,
        default="0",
    ),
    Setting(
        "maxmemory-policy",
        "Eviction policy",
        "policy",
        "Which keys go when memory is full, or that none does.",
        default="noeviction",
    ),
    Setting(
        "maxmemory-samples",
        "Keys looked at for each eviction",
        "number",
        "The more, the nearer eviction comes to the true order, and the more processor time it takes; 5 is usual.",
        least=1,
        most=64,
        unit="keys",
        default="5",
    ),
    Setting(
        "maxmemory-eviction-tenacity",
        "Effort of one round of eviction",
        "number",
        "How long commands may be held up to evict: 10 is up to half a millisecond at a time, 100 is without end.",
        most=100,
        default="10",
    ),
    Setting(
        "maxmemory-clients",
        "Memory of all clients together",
        "client memory",
        "Above it the clients with the largest buffers are disconnected: bytes, or percent of maxmemory. 0: no limit.",
        most=LARGEST,
        default="0",
    ),
    Setting(
        "lfu-log-factor",
        "LFU: how slowly the counter grows",
        "number",
        "With 10 a key needs about a million uses until its counter is full (255), with 100 about ten million.",
        default="10",
    ),
    Setting(
        "lfu-decay-time",
        "LFU: minutes until the counter falls by one",
        "number",
        "The shorter, the sooner yesterday's hot keys are forgotten. 0 never lets it fall.",
        unit="min",
        default="1",
    ),
    Setting(
        "active-expire-effort",
        "Effort of looking for expired keys",
        "number",
        "1 leaves up to a tenth of expired keys in memory; 10 finds nearly all and takes more processor time.",
        least=1,
        most=10,
        default="1",
    ),
    Setting(
        "lazyfree-lazy-eviction", "Free evicted keys in the background", "yes or no", "Large keys go without a pause."
    ),
    Setting(
        "lazyfree-lazy-expire", "Free expired keys in the background", "yes or no", "Large keys go without a pause."
    ),
    Setting(
        "lazyfree-lazy-server-del",
        "Free overwritten values in the background",
        "yes or no",
        "What RENAME and the like replace goes without a pause.",
    ),
    Setting("lazyfree-lazy-user-del", "DEL frees in the background", "yes or no", "DEL behaves like UNLINK."),
    Setting(
        "lazyfree-lazy-user-flush", "FLUSHALL frees in the background", "yes or no", "FLUSHALL and FLUSHDB as if ASYNC."
    ),
    Setting(
        "notify-keyspace-events",
        "Keyspace notifications",
        "flags",
        "Which events about keys the server publishes; each costs time whenever it happens.",
        editable=False,
        default="",
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def canonical(name: str, text: str, *, policies: Sequence[str] = (), of_memory: int | None = None) -> str:
    """What is sent for what was typed: plain bytes for memory, lower case for words.

    policies: those that the server knows, empty where it does not say. of_memory: bytes that a percentage is of, None
    where they are not known. Raises BadValue.
    """
    setting = BY_NAME.get(name)
    if setting is None:
        raise BadValue(name, f"{name} is no setting that Cachedeck changes.")
    text = text.strip()
    if not text and setting.kind != "flags":
        raise BadValue(name, f"{name} needs a value.")
    if setting.kind in ("memory", "client memory"):
        return _memory(setting, text, of_memory)
    if setting.kind == "policy":
        return _policy(setting, text.lower(), policies)
    if setting.kind == "yes or no":
        return _yes_or_no(setting, text.lower())
    if setting.kind == "flags":
        return _flags(setting, text)
    return _number(setting, text)


def shown(name: str, value: str) -> str:
    """A server's value in words: `2 GB`, `no limit`, `5 keys`. What cannot be read is given back as it is."""
    setting = BY_NAME.get(name)
    if setting is None:
        return value
    if setting.kind in ("memory", "client memory"):
        if value == "0":
            return "no limit"
        return size(int(value)) if _NUMBER.fullmatch(value) else value
    if setting.kind == "flags":
        return value or "off"
    if setting.unit and _NUMBER.fullmatch(value):
        return number_of(int(value), "key") if setting.unit == "keys" else f"{value} {setting.unit}"
    return value


def _memory(setting: Setting, text: str, of_memory: int | None) -> str:
    found = _MEMORY.fullmatch(text)
    if found is None or (found[2] != "%" and found[2].lower() not in _UNITS):
        raise BadValue(
            setting.name,
            f"{setting.name} is bytes such as 2gb, 512mb or 75%; the units are b, kb, mb, gb (of 1024), k, m, g.",
        )
    amount, unit = float(found[1]), found[2].lower()
    if unit == "%":
        if amount > 100:
            raise BadValue(setting.name, f"{setting.name} is at most 100%.")
        if setting.kind == "client memory":  # the server itself knows percentages here, of maxmemory, whole ones
            if not amount.is_integer():
                raise BadValue(setting.name, f"{setting.name} takes whole percentages.")
            return f"{amount:.0f}%"
        if of_memory is None:
            raise BadValue(setting.name, "The server does not say how much memory its machine has: give bytes instead.")
        value = round(of_memory * amount / 100)
    else:
        value = int(found[1]) * _UNITS[unit] if "." not in found[1] else round(amount * _UNITS[unit])
    if value > setting.most:
        raise BadValue(setting.name, f"{setting.name} is at most {size(setting.most)}.")
    return str(value)


def _policy(setting: Setting, text: str, policies: Sequence[str]) -> str:
    if policies and text not in policies:
        raise BadValue(setting.name, f"This server knows no policy {text!r}; it has {', '.join(policies)}.")
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", text):
        raise BadValue(setting.name, "A policy is a name such as allkeys-lru.")
    return text


def _yes_or_no(setting: Setting, text: str) -> str:
    if text not in ("yes", "no"):
        raise BadValue(setting.name, f"{setting.name} is yes or no.")
    return text


def _flags(setting: Setting, text: str) -> str:
    wrong = sorted(set(text) - FLAGS)
    if wrong:
        raise BadValue(setting.name, f"{setting.name} has no flag {wrong[0]!r}.")
    return text


def _number(setting: Setting, text: str) -> str:
    if not _NUMBER.fullmatch(text) or not setting.least <= int(text) <= setting.most:
        raise BadValue(setting.name, f"{setting.name} is a whole number from {setting.least} to {setting.most}.")
    return str(int(text))
