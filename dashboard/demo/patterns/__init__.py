"""Caching patterns, one a module, each behind the same small interface so that they can be exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from dashboard.demo.encoding import Document

Source = Literal["hit", "miss", "stale", "copy", "bypass"]
Load = Callable[[], Document | None]


@dataclass(frozen=True)
class Answer:
    """A document (None: there is no such row) and where it came from.

    `hit`: the cache; `miss`: the database; `stale`: the cache, past its time, while somebody reads it anew; `copy`:
    one that this process keeps (copies.py); `bypass`: the database, because the cache is away or refused to keep it.
    """

    document: Document | None
    source: Source


@dataclass(frozen=True)
class Change:
    """All that can be changed of one row, so that a later change replaces an earlier one, and repeating it is harmless.

    `kind` is "user" (values city, bio) or "price" (values cents); `row` the user's id or the SKU; `key` the entry of
    the row; `load` reads its document from the database.
    """

    kind: str
    row: int | str
    values: Mapping[str, Any]
    key: str
    load: Load


@dataclass(frozen=True)
class Changed:
    """What became of a change: the row's new `version` (None: there is no such row), whether the cache could be
    `told`, and whether it is only `queued`, so that the database does not have it yet."""

    version: int | None
    told: bool = True
    queued: bool = False


class Rows(Protocol):
    """The database, as far as patterns write to it."""

    def change(self, kind: str, row: int | str, values: Mapping[str, Any]) -> int | None:
        """Set the values in one transaction; the row's new version, None where there is no such row."""
        ...


class Pattern(Protocol):
    """What the shop knows of a caching pattern. None of the methods raises for trouble with the cache."""

    def get(self, key: str, load: Load, ttl: float) -> Answer:
        """The document under `key`; where the cache has none `load` reads the database. `ttl` in seconds."""
        ...

    def update(self, change: Change, ttl: float) -> Changed:
        """Change a row, in database and cache, in the order that the pattern is about. `ttl` in seconds."""
        ...

    def forget(self, keys: Sequence[str]) -> bool:
        """Forget `keys`, whose rows have changed otherwise. False where the cache could not be told."""
        ...
