"""What one batch of an analysis adds up to, and what is asked for. Pure.

Two ways lead to it, a script on the server (analysis/script.py) and pipelines (analysis/plain.py), and both
give the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from dashboard.cache.analysis import slots
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule

ROW_WIDTH = 8192
"""A code is a row's number times this, plus a slot: how the script says in one number whose key expires when."""
UNKNOWN = b"unknown"
"""The type of keys whose type is not told."""
NO_TTL = slots.COUNT
"""The slot of keys that never expire."""
NAMED = 1000
"""Bytes of a large key's name that are kept."""
ODDITIES = ("long name", "large value", "one element", "millions of members")


@dataclass(frozen=True)
class Question:
    """What is asked of every key, as far as this server tells it.

    types, ttls, memory, object: whether TYPE, PTTL, MEMORY USAGE and OBJECT may be used. activity: "IDLETIME", "FREQ"
    or "". every: OBJECT is asked for one key in so many. typed: whether types can be told by filtered SCANs (else by
    TYPE). lengths: whether members of collections are counted.
    long_name (bytes of a name), large_value (bytes), many_members: above these a key is an oddity.
    """

    selection: Selection
    separator: bytes = b":"
    rules: tuple[Rule, ...] = ()
    types: bool = True
    ttls: bool = True
    memory: bool = True
    object: bool = True
    activity: str = "IDLETIME"
    every: int = 1
    typed: bool = True
    lengths: bool = True
    long_name: int = 256
    large_value: int = 1 << 20
    many_members: int = 1_000_000

    def phase(self) -> int:
        """With which of `every` keys a batch begins to count, drawn for each: of keys that are rare in their keyspace
        a batch has a few, and none of them would ever be asked if each batch began with the first."""
        return secrets.randbelow(self.every)


@dataclass
class RowSums:
    """One namespace in one batch. odd, odd_examples: by the place in ODDITIES."""

    name: bytes
    example: bytes
    keys: int = 0
    memory: int = 0
    without_memory: int = 0
    types: dict[bytes, int] = field(default_factory=dict)
    odd: dict[int, int] = field(default_factory=dict)
    odd_examples: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class BigSums:
    """A key among the largest. pttl in ms, -1 none; members -1 where not counted. length: of its name, bytes, of which
    `key` is the first NAMED."""

    key: bytes
    type: bytes
    memory: int
    pttl: int
    members: int
    length: int


@dataclass(frozen=True)
class Sums:
    """One batch. codes, sizes: of each key that meets the selection, as ROW_WIDTH says, and its bytes.

    visited: keys examined, with those that do not meet the selection. gone: keys that had expired. refused: keys that
    this user may not ask about. asked: for how many OBJECT was asked. types: bytes by type but for strings; encodings:
    type and encoding -> (keys, bytes, their squares); active: octave of the idle time or frequency -> the same.
    standing: for each rule (inside, below, above, without, longest ms). uncounted: collections of which this
    user may not ask how many members they have.
    """

    visited: int
    codes: Sequence[int]
    sizes: Sequence[int]
    rows: Sequence[RowSums]
    gone: int = 0
    refused: int = 0
    asked: int = 0
    types: dict[bytes, int] = field(default_factory=dict)
    encodings: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)
    active: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    largest: Sequence[BigSums] = ()
    standing: Sequence[Sequence[int]] = ()
    uncounted: int = 0
