"""The slow log of every primary: SLOWLOG GET, bounded. https://valkey.io/commands/slowlog-get/

A server keeps at most 32 arguments of a command and 128 bytes of each (slowlog.c), so an entry is a few kilobytes at
most. They are shown as keys are: every byte is a letter or a \\x escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.cache.errors import CacheError, translating
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.servers.connect import Cache, Node

MOST_ENTRIES = 32
"""Asked of each primary, and shown of all together: the newest."""
MOST_ARGUMENTS = 32
MOST_LETTERS = 200


@dataclass(frozen=True)
class Slow:
    """One command that took long. at: epoch seconds; usec: microseconds in the main thread; text: as it was sent.

    client: address and port, and its name where it has one.
    """

    at: float
    node: str
    usec: float
    text: str
    client: str


@dataclass(frozen=True)
class SlowLog:
    """The newest entries of all primaries. failed: (node, sentence) of those that did not tell."""

    entries: tuple[Slow, ...]
    failed: tuple[tuple[str, str], ...] = ()


def slow_log(cache: Cache) -> SlowLog:
    """One round trip to each primary. Raises CacheError where the primaries cannot be told."""
    entries: list[Slow] = []
    failed = []
    for node in cache.primaries():
        try:
            entries += _of(cache, node)
        except CacheError as error:
            failed.append((node.name, error.sentence))
    newest = sorted(entries, key=lambda one: one.at, reverse=True)[:MOST_ENTRIES]
    return SlowLog(tuple(newest), tuple(failed))


def _of(cache: Cache, node: Node) -> Iterable[Slow]:
    (reply,) = cache.pipeline(node, [("SLOWLOG", "GET", MOST_ENTRIES)])
    if isinstance(reply, Exception):
        with translating(cache.name):
            raise reply
    rows = reply if isinstance(reply, list) else []
    return [slow for row in rows[:MOST_ENTRIES] if (slow := _entry(node.name, row)) is not None]


def _entry(node: str, row: object) -> Slow | None:
    """[id, at, microseconds, arguments, address, name]; None for anything else."""
    if not isinstance(row, Sequence) or len(row) < 4 or not isinstance(row[3], list):
        return None
    _, at, usec, arguments, *rest = row
    if not (isinstance(at, int) and isinstance(usec, int)):
        return None
    words = [printable(one) for one in arguments[:MOST_ARGUMENTS] if isinstance(one, bytes)]
    text = " ".join(words)
    client = " ".join(printable(one)[:100] for one in rest[:2] if isinstance(one, bytes) and one)
    return Slow(float(at), node, float(usec), text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + "…", client)
