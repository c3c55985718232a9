"""What a retiming does to one TTL: spread it, or bring it into a range. Pure.

retime.lua does the same sums on the server; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from dashboard.cache.wording import span

LEAST_MS = 1000
"""No TTL is shortened to less than this by a retiming: that would be a removal, which is an act of its own."""

LONGEST = 10 * 365 * 86400
MOST_PERCENT = 90.0
DIRECTIONS = ("both", "earlier", "later")

Direction = Literal["both", "earlier", "later"]
Unit = Literal["s", "%"]


class BadChange(ValueError):
    """A change that says nothing sensible; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Jitter:
    """Move each expiry by a random time of up to `amount`: seconds, or per cent of what the key has left.

    Evenly spread over all that is allowed: where the whole way to the earlier side would end before a second from
    now, over what is left of it, so that no new crowd stands there. Keys without TTL stay without, and those with
    more than ten years stay as they are: no server takes much longer TTLs.
    """

    amount: float
    unit: Unit = "s"
    direction: Direction = "both"

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise BadChange("Jitter goes earlier, later or both ways.")
        if self.unit == "%" and not 0 < self.amount <= MOST_PERCENT:
            raise BadChange(f"Jitter in per cent is more than 0 and at most {MOST_PERCENT:g} % of the time left.")
        if self.unit == "s" and not 1 <= self.amount <= LONGEST:
            raise BadChange("Jitter is between 1 s and 10 years, or a share such as 10%.")

    def bounds_ms(self, pttl_ms: int) -> tuple[int, int] | None:
        """Between which TTLs, in milliseconds, the new one is drawn; None where the key is left as it is."""
        if pttl_ms < 0 or pttl_ms > LONGEST * 1000:
            return None
        reach = round(self.amount * 1000) if self.unit == "s" else int(pttl_ms * self.amount / 100)
        low = pttl_ms if self.direction == "later" else max(pttl_ms - reach, min(pttl_ms, LEAST_MS))
        high = pttl_ms if self.direction == "earlier" else pttl_ms + reach
        return (low, high) if high > low else None

    def to_query(self) -> dict[str, str]:
        query = {"jitter": f"{self.amount:g}%" if self.unit == "%" else f"{self.amount:.10g}"}
        return query if self.direction == "both" else {**query, "direction": self.direction}

    @property
    def in_words(self) -> str:
        """`moved by up to 5 min to either side`, as the end of a sentence about keys."""
        amount = f"{self.amount:g}\u202f% of the time left" if self.unit == "%" else span(self.amount)
        return f"moved by up to {amount} {_SIDES[self.direction]}"


_SIDES = {"both": "to either side", "earlier": "to the earlier side", "later": "to the later side"}


@dataclass(frozen=True)
class IntoRange:
    """Give a TTL of `low` to `high` seconds, evenly spread, to keys that have less, more or none; others stay."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high <= LONGEST:
            raise BadChange("A range is from at least 1 s to at most 10 years, its lower end first.")

    def bounds_ms(self, pttl_ms: int) -> tuple[int, int] | None:
        """Between which TTLs, in milliseconds, the new one is drawn; None where the key is left as it is."""
        low, high = round(self.low * 1000), round(self.high * 1000)
        return None if low <= pttl_ms <= high else (low, high)

    def to_query(self) -> dict[str, str]:
        return {"low": f"{self.low:.10g}", "high": f"{self.high:.10g}"}

    @property
    def in_words(self) -> str:
        """`given 15 min to 30 min to live`, as the end of a sentence about keys."""
        return f"given {span(self.low)} to {span(self.high)} to live"


Change = Jitter | IntoRange


def drawn(change: Change, pttl_ms: int, draw: Callable[[], float]) -> int | None:
    """The new TTL in milliseconds for a key with this PTTL reply; None where it is left as it is.

    draw: gives a number from 0 to below 1.
    """
    bounds = change.bounds_ms(pttl_ms)
    return None if bounds is None else bounds[0] + int(draw() * (bounds[1] - bounds[0] + 1))


def change_from_query(query: Mapping[str, str]) -> Change:
    """The change of what to_query() has written. Raises BadChange."""
    try:
        if query.get("jitter"):
            text = query["jitter"]
            amount, unit = (float(text.removesuffix("%")), "%" if text.endswith("%") else "s")
            return Jitter(amount, unit, query.get("direction", "both"))  # type: ignore[arg-type]  # checked there
        return IntoRange(float(query["low"]), float(query["high"]))
    except (KeyError, ValueError) as error:
        if isinstance(error, BadChange):
            raise
        raise BadChange("A retiming wants a jitter, or a range with both its ends.") from None
