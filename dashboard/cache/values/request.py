"""What is asked for, and what this server can do about it; shared by the ways to read a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.cache.errors import CacheError, translate
from dashboard.cache.servers.capability import Capabilities
from dashboard.cache.servers.connect import Cache

ELEMENT_SHOWN = 64 * 1024  # bytes of one element in a page
READ_MOST = 8 * 1024 * 1024  # bytes of a hash value up to which it is read in order to show its beginning
COUNT_MOST = 1000
LENGTHS = {"hash": b"HLEN", "list": b"LLEN", "set": b"SCARD", "zset": b"ZCARD", "stream": b"XLEN"}


@dataclass(frozen=True)
class Request:
    """One page of one collection. cursor and skip as the server and the last page left them."""

    key: bytes
    type: str
    cursor: str
    skip: int
    count: int
    match: bytes | None
    max_bytes: int

    @property
    def scans(self) -> bool:
        """Whether it goes by *SCAN; else by position, or by id for a stream."""
        return self.type in ("hash", "set") or (self.type == "zset" and self.match is not None)


def ask(cache: Cache, key: bytes, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Commands about one key in one round trip; replies as the server gives them, errors among them.

    The names are bytes, because redis-py reshapes the replies of commands whose name it knows as text:
    it would merge a stream entry's repeated fields.
    """
    return cache.pipeline(cache.node_of(key), [tuple(command) for command in commands])


def checked(reply: Any, cache: Cache) -> Any:
    """The reply. Raises the CacheError for one that is an error."""
    if isinstance(reply, CacheError):
        raise reply
    if isinstance(reply, Exception):
        raise translate(reply, cache.name) from reply
    return reply


def knows_novalues(capabilities: Capabilities) -> bool:
    """HSCAN ... NOVALUES: Valkey 8.0, Redis 7.4."""
    return _at_least(capabilities, valkey=(8, 0), redis=(7, 4))


def knows_field_ttls(capabilities: Capabilities) -> bool:
    """HPEXPIRETIME: Valkey 9.0, Redis 7.4."""
    return _at_least(capabilities, valkey=(9, 0), redis=(7, 4))


def _at_least(capabilities: Capabilities, *, valkey: tuple[int, int], redis: tuple[int, int]) -> bool:
    needed = {"Valkey": valkey, "Redis": redis}.get(capabilities.product)
    return needed is not None and capabilities.release >= needed
