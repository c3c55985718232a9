"""Caching patterns, one a module, each behind the same small interface so that they can be exchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dashboard.demo.encoding import Document

Source = Literal["hit", "miss", "bypass"]


@dataclass(frozen=True)
class Answer:
    """A document (None: there is no such row) and where it came from.

    `hit`: the cache; `miss`: the database, and the cache holds it now; `bypass`: the database, because the cache
    is away or refused to keep it.
    """

    document: Document | None
    source: Source


class Pattern(Protocol):
    """What the shop knows of a caching pattern. Neither method raises for trouble with the cache."""

    def get(self, key: str, load: Callable[[], Document | None], ttl: float) -> Answer:
        """The document under `key`; where the cache has none `load` reads the database. `ttl` in seconds."""
        ...

    def invalidate(self, keys: Sequence[str]) -> bool:
        """Forget `keys`, after the row behind them has changed. False where the cache could not be told."""
        ...
