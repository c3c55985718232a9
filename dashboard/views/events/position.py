"""Where a page stands in a stream of events: what Last-Event-ID carries, and what that means to a buffer. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dashboard.cache.events.buffer import Buffer


@dataclass(frozen=True)
class Position:
    """epoch, number: as of a Buffer. at: seconds since the epoch, 0.0 for unknown: when what was seen last came."""

    epoch: str
    number: int
    at: float

    def __str__(self) -> str:
        return f"{self.epoch}.{self.number}.{int(self.at * 1000)}"


def read(text: str) -> Position | None:
    """The Position that was written so; None for anything else."""
    found = re.fullmatch(r"([0-9a-f]{1,32})\.(\d{1,18})\.(\d{1,15})", text)
    return Position(found[1], int(found[2]), int(found[3]) / 1000) if found else None


def after(buffer: Buffer, position: Position | None) -> int:
    """The number after which such a page goes on.

    In another numbering, as after the web process has restarted, it goes on after what came until then.
    """
    if position is None:
        return buffer.oldest - 1
    if position.epoch == buffer.epoch:
        return min(position.number, buffer.passed)
    oldest, kept = buffer.oldest, buffer.kept()
    # Milliseconds were kept of the time, so what came in the same one is taken as seen.
    seen = sum(1 for one in kept if int(one.at * 1000) / 1000 <= position.at)
    return oldest - 1 + seen
