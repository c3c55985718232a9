"""How an invalidation goes about it: at once, spread over a time, at a rate, or by letting keys go stale. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.cache.wording import span

LONGEST = 7 * 86400.0  # seconds of a window: what takes longer is a TTL, and has its own act
MOST_RATE = 1_000_000.0
USUAL_WINDOW, USUAL_RATE, USUAL_GRACE = 300.0, 500.0, 10.0


class BadMode(ValueError):
    """A mode that says nothing sensible; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Now:
    """Remove (UNLINK) as fast as the walk's budget allows."""

    name = "now"

    @property
    def in_words(self) -> str:
        return "removed at once"

    def to_query(self) -> dict[str, str]:
        return {"mode": self.name}


@dataclass(frozen=True)
class Paced:
    """Remove at most `rate` keys a second."""

    rate: float
    name = "paced"

    def __post_init__(self) -> None:
        if not 0.1 <= self.rate <= MOST_RATE:
            raise BadMode("A pace is between 0.1 and 1,000,000 keys a second.")

    @property
    def in_words(self) -> str:
        return f"removed, at most {self.rate:,.10g} a second"

    def to_query(self) -> dict[str, str]:
        return {"mode": self.name, "rate": f"{self.rate:.10g}"}


@dataclass(frozen=True)
class Gently:
    """Lower each TTL to a random moment within `seconds` from when it is visited, keys without TTL included."""

    seconds: float
    name = "gently"

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= LONGEST:
            raise BadMode("A window is between 1 s and 7 days.")

    @property
    def in_words(self) -> str:
        return f"made to expire, spread over {span(self.seconds)}"

    @property
    def bounds_ms(self) -> tuple[int, int]:
        """Between which TTLs the new one is drawn, evenly; it is never longer than the old one."""
        return 1, round(self.seconds * 1000)

    def to_query(self) -> dict[str, str]:
        return {"mode": self.name, "seconds": f"{self.seconds:.10g}"}


@dataclass(frozen=True)
class Stale:
    """Lower each TTL to a grace of `seconds`, in which readers still get the old value."""

    seconds: float
    name = "stale"

    def __post_init__(self) -> None:
        if not 0.1 <= self.seconds <= LONGEST:
            raise BadMode("A grace is between 0.1 s and 7 days.")

    @property
    def in_words(self) -> str:
        return f"left to expire after a grace of {span(self.seconds)}"

    @property
    def bounds_ms(self) -> tuple[int, int]:
        """As Gently's: all keys get the same TTL."""
        return (round(self.seconds * 1000),) * 2

    def to_query(self) -> dict[str, str]:
        return {"mode": self.name, "seconds": f"{self.seconds:.10g}"}


Removing = Now | Paced
Lowering = Gently | Stale
Mode = Now | Paced | Gently | Stale


def mode_from_query(query: Mapping[str, str]) -> Mode:
    """The mode that to_query() has written: `mode`, and `seconds` or `rate`. Raises BadMode."""
    name = query.get("mode", "") or "now"
    try:
        if name == "now":
            return Now()
        if name == "paced":
            return Paced(float(query["rate"]))
        if name == "gently":
            return Gently(float(query["seconds"]))
        if name == "stale":
            return Stale(float(query["seconds"]))
    except (KeyError, ValueError) as error:
        if isinstance(error, BadMode):
            raise
        raise BadMode(f"The mode {name} wants a number: {'rate' if name == 'paced' else 'seconds'}.") from None
    raise BadMode("A mode is now, paced, gently or stale.")
