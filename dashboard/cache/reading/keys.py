"""Rows of keys, and what an operator does to one key."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.cache.errors import CacheError, Denied, translate
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.filtering import seconds_of

NO_TTL = -1
GONE = -2
LONGEST_TTL = 10 * 365 * 86400  # seconds; above it a typing error is likelier than a wish


@dataclass(frozen=True)
class Row:
    """What a list says about one key.

    type: the server's name, "" where it would not tell. pttl_ms: left to live; -1 never expires.
    memory: bytes by MEMORY USAGE; idle: seconds; frequency: LFU's logarithmic counter, 0 to 255.
    None: the server does not tell (denied, or its policy does not keep it).
    """

    key: bytes
    type: str
    pttl_ms: int | None
    memory: int | None = None
    idle: int | None = None
    frequency: int | None = None

    @property
    def ttl(self) -> float | None:
        """Seconds left to live, or NO_TTL; None where the server does not tell."""
        if self.pttl_ms is None:
            return None
        return self.pttl_ms / 1000 if self.pttl_ms >= 0 else float(self.pttl_ms)


def rows(cache: Cache, keys: Sequence[bytes], *, seen: bool = False) -> dict[bytes, Row]:
    """Rows of the keys that still exist, in the order given. One pipeline for each primary involved.

    seen: a walk has just seen these keys, so those of a primary that fails meanwhile have a row
    without details. Raises CacheError, in that case only if none of the primaries can be asked.
    """
    if not keys:
        return {}
    columns = _columns(cache)
    groups = cache.group(keys).values()
    found: dict[bytes, Row] = {}
    errors: list[CacheError] = []
    for node, of_node in groups:
        try:
            found |= _rows_of(cache, node, of_node, columns)
        except CacheError as error:
            errors.append(error)
            found |= {key: Row(key, "", None) for key in of_node}
    if errors and (not seen or len(errors) == len(groups)):
        raise errors[0]
    return {key: found[key] for key in keys if key in found}


def _rows_of(cache: Cache, node: Node, keys: Sequence[bytes], columns: dict[str, tuple[str, ...]]) -> dict[bytes, Row]:
    replies = iter(cache.pipeline(node, [(*words, key) for key in keys for words in columns.values()]))
    found = ((key, _row(key, {name: next(replies) for name in columns})) for key in keys)
    return {key: row for key, row in found if row is not None}


def look(cache: Cache, key: bytes) -> Row | None:
    """One key's row; None where it does not exist. One round trip. Raises CacheError."""
    return _sure(cache, rows(cache, [key])).get(key)


def look_up(cache: Cache, selection: Selection) -> list[Row]:
    """The keys that a pattern names letter by letter and that meet the selection's other conditions.

    This is how a pattern without wildcards is answered: at once and certainly, however many keys
    there are. One round trip for each primary involved (at most two), and one more for each key where
    its server's clock is asked for. Raises CacheError, also where the server would not tell whether there is
    such a key, or how large it is when that matters.
    """
    named = _sure(cache, rows(cache, selection.literals)).values()
    return [row for row in named if selection.takes_type(row.type) and _meets(cache, selection, row)]


def _meets(cache: Cache, selection: Selection, row: Row) -> bool:
    if selection.size:
        # A row leaves out what may not be asked; asking once more says why.
        size = cache.execute("MEMORY", "USAGE", row.key) if row.memory is None else row.memory
        if size is None or not selection.takes_size(int(size)):
            return False
    if row.pttl_ms is None:
        return True
    now = seconds_of(cache.execute("TIME", node=cache.node_of(row.key))) if selection.at_instant else None
    return selection.takes_ttl(row.pttl_ms, now)


def _sure(cache: Cache, found: dict[bytes, Row]) -> dict[bytes, Row]:
    """The rows, of keys that do exist. Raises what a list keeps to itself: why a key could not be asked about."""
    for row in found.values():
        if not row.type and row.pttl_ms is None:
            cache.execute("TYPE", row.key)
            cache.execute("PTTL", row.key)
    return found


def _columns(cache: Cache) -> dict[str, tuple[str, ...]]:
    """Which commands tell a row's columns here: what is denied is left out, not asked and refused each time."""
    capabilities = cache.capabilities()
    columns: dict[str, tuple[str, ...]] = {"type": ("TYPE",), "pttl": ("PTTL",)}
    if capabilities.can("MEMORY USAGE"):
        columns["memory"] = ("MEMORY", "USAGE")
    if capabilities.can("OBJECT"):
        # A server keeps one of the two, by its policy, and answers the other with an error.
        frequency = keeps_frequency(cache)
        columns["frequency" if frequency else "idle"] = ("OBJECT", "FREQ" if frequency else "IDLETIME")
    return columns


def keeps_frequency(cache: Cache) -> bool:
    """Whether the policy keeps frequencies (LFU) and not idle times; no where the server does not tell its policy."""
    try:
        return "lfu" in cache.policy()
    except Denied:
        return False


def _row(key: bytes, replies: dict[str, Any]) -> Row | None:
    kind, pttl = replies["type"], replies["pttl"]
    if kind in (b"none", "none") or pttl == GONE:
        return None
    numbers = {name: reply for name in ("memory", "idle", "frequency") if isinstance(reply := replies.get(name), int)}
    name = kind.decode("ascii", "replace") if isinstance(kind, bytes) else ""
    return Row(key, name, pttl if isinstance(pttl, int) else None, **numbers)


@dataclass(frozen=True)
class Retimed:
    """A TTL before and after, milliseconds (-1: none; -2: the key is gone)."""

    before_ms: int
    after_ms: int

    @property
    def missing(self) -> bool:
        return self.before_ms == GONE


def set_ttl(cache: Cache, key: bytes, seconds: float, jitter: float = 0.0) -> Retimed:
    """Let a key expire in `seconds`, give or take the share `jitter` (0 to 1) of it, evenly spread.

    One round trip. A key without TTL gets one. Raises CacheError.
    """
    milliseconds = max(1, round(_spread(seconds, jitter) * 1000))
    return _retime(cache, key, ("PEXPIRE", key, milliseconds))


def persist(cache: Cache, key: bytes) -> Retimed:
    """Take a key's TTL away. One round trip. Raises CacheError."""
    return _retime(cache, key, ("PERSIST", key))


def _spread(seconds: float, jitter: float) -> float:
    # A system-wide generator: workers that share a seed would share the moment of expiry.
    return seconds * (1 + jitter * secrets.SystemRandom().uniform(-1, 1))


def _retime(cache: Cache, key: bytes, command: tuple[Any, ...]) -> Retimed:
    cache.require_writable()
    before, done, after = cache.pipeline(cache.node_of(key), [("PTTL", key), command, ("PTTL", key)])
    for reply in (done, before, after):
        if isinstance(reply, Exception):
            raise reply if isinstance(reply, CacheError) else translate(reply, cache.name)
    return Retimed(int(before), int(after))
