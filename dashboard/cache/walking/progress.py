"""How far a piece of long work has got. Pure. Every generator of snapshots yields objects with a `progress`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """How far a walk has got, and what it has cost.

    examined, total: keys; total as DBSIZE said when the walk began. elapsed, busy: seconds, the latter those for
    which a server was held. longest_ms: the longest single call. lost: primaries that could not be walked to the
    end, each with why. primaries: how many there are. unit: what is counted; "seconds" where it is a matter of time.
    """

    examined: int = 0
    total: int = 0
    elapsed: float = 0.0
    busy: float = 0.0
    calls: int = 0
    longest_ms: float = 0.0
    lost: Mapping[str, str] = field(default_factory=dict)
    ended: bool = False
    primaries: int = 1
    unit: str = "keys"

    @property
    def rate(self) -> float:
        """Keys per second since the start."""
        return self.examined / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def total_known(self) -> bool:
        """Whether it can be said how far it is: no where DBSIZE is denied, before the end."""
        return self.ended or self.total > self.examined

    @property
    def left(self) -> float | None:
        """Seconds until the end at this rate; None where that cannot be said."""
        if self.ended:
            return 0.0
        return (self.total - self.examined) / self.rate if self.rate and self.total_known else None

    @property
    def share(self) -> float:
        """Done, 0 to 1; 0 where that cannot be said."""
        if self.ended:
            return 1.0
        return self.examined / self.total if self.total_known and self.total else 0.0

    @property
    def complete(self) -> bool:
        """Whether every key of every primary was visited: the figures are exact then."""
        return self.ended and not self.lost
