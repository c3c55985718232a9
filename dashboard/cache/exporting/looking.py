"""Looking at keys before an export reads them: what type each is, how long it has left, and how large it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.cache.errors import CacheError, WrongType, checked, translate
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.refusals import of_one_key, served_elsewhere

VALUE_BYTES = 1024 * 1024  # a larger key is exported as the server itself writes it down (DUMP)
MEMBERS_MOST = 10_000  # and one of more elements, too
CHANGES = "It had another type, or was served by another node, each time it was about to be read."

_LENGTHS = {
    "string": b"STRLEN",
    "list": b"LLEN",
    "hash": b"HLEN",
    "set": b"SCARD",
    "zset": b"ZCARD",
    "stream": b"XLEN",
}
_Sizes = dict[bytes, int | None]
"""Bytes by key, None where that is not told; without those that are more than is read by the command of their type."""


@dataclass(frozen=True)
class Look:
    """What is known of a key before it is read.

    size: bytes; None where that is more than is read by the command of its type, or not told (`unknown`).
    """

    key: bytes
    kind: str
    pttl: int
    size: int | None
    unknown: bool = False


@dataclass
class Looked:
    """Of the keys that one call was about. refused: with why. elsewhere: served by another node by now. (held: the
    server does not tell.)"""

    handled: int
    found: list[Look] = field(default_factory=list)
    refused: list[tuple[bytes, str]] = field(default_factory=list)
    elsewhere: list[bytes] = field(default_factory=list)
    held: float | None = None


def look(cache: Cache, node: Node, keys: Sequence[bytes], *, measured: bool, told: bool) -> Looked:
    """Types and TTLs; where it is `measured`, lengths too, and the memory of collections, from each of their elements.

    told: whether MEMORY USAGE is allowed. Up to three round trips, one where nothing is measured. Raises CacheError.
    """
    looked = Looked(len(keys))
    replies = cache.pipeline(node, [words for key in keys for words in ((b"TYPE", key), (b"PTTL", key))])
    kinds: dict[bytes, tuple[str, int]] = {}
    for key, kind, pttl in zip(keys, replies[::2], replies[1::2], strict=True):
        bad = next((one for one in (kind, pttl) if isinstance(one, Exception)), None)
        if bad is not None and served_elsewhere(bad):
            looked.elsewhere.append(key)
        elif bad is not None:
            looked.refused.append((key, refusal_of(bad, cache.name)))
        elif kind != b"none" and pttl != -2:
            kinds[key] = kind.decode("ascii", "replace"), int(pttl)
    by_key = {key: kind for key, (kind, _) in kinds.items()}
    sizes = _measured(cache, node, by_key, told=told) if measured else {}
    for key, (kind, pttl) in kinds.items():
        size = sizes.get(key, VALUE_BYTES + 1)
        fits = size is not None and size <= VALUE_BYTES
        looked.found.append(Look(key, kind, pttl, size if fits else None, unknown=size is None))
    return looked


def _measured(cache: Cache, node: Node, kinds: Mapping[bytes, str], *, told: bool) -> _Sizes:
    if not told:
        strings = [key for key, kind in kinds.items() if kind == "string"]
        unknown: _Sizes = {key: None for key, kind in kinds.items() if kind != "string"}
        return unknown | _numbers(cache, node, strings, lambda key: (b"STRLEN", key))
    known = [key for key, kind in kinds.items() if kind in _LENGTHS]
    lengths = _numbers(cache, node, known, lambda key: (_LENGTHS[kinds[key]], key))
    sizes: _Sizes = {key: length for key, length in lengths.items() if kinds[key] == "string"}
    few = [key for key, length in lengths.items() if kinds[key] != "string" and length <= MEMBERS_MOST]
    return sizes | _numbers(cache, node, few, lambda key: (b"MEMORY", b"USAGE", key, b"SAMPLES", b"0"))


def _numbers(
    cache: Cache, node: Node, keys: Sequence[bytes], command: Callable[[bytes], tuple[Any, ...]]
) -> dict[bytes, int]:
    """One number of each key; 0 for one that has gone, or is not any more what it was: reading it will say so."""
    replies = cache.pipeline(node, [command(key) for key in keys]) if keys else []
    found: dict[bytes, int] = {}
    for key, reply in zip(keys, replies, strict=True):
        problem = problem_of(reply, cache.name)
        if isinstance(problem, WrongType) or (problem is not None and served_elsewhere(reply)):
            found[key] = 0
        else:
            found[key] = checked(reply, cache.name) or 0
    return found


def problem_of(reply: Any, name: str) -> CacheError | None:
    """The error that a reply is; None for one that is none. name: the cache's."""
    if isinstance(reply, CacheError):
        return reply
    return translate(reply, name) if isinstance(reply, Exception) else None


def refusal_of(error: Exception, name: str) -> str:
    """Why one key is refused, a sentence. Raises what concerns other keys too."""
    if served_elsewhere(error):
        return CHANGES
    problem = error if isinstance(error, CacheError) else translate(error, name)
    if not of_one_key(problem):
        raise problem
    return problem.sentence
