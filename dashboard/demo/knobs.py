"""What can be turned while the shop runs: the pattern, what prevents stampedes, jitter and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

PATTERNS = ("cache-aside", "read-through", "write-through", "write-behind")
PREVENTIONS = ("none", "mutex", "xfetch", "revalidate")
MOST_LATENCY_MS = 1000.0
TTL_SCALES = (0.001, 10.0)


class BadKnob(ValueError):
    """A knob that there is not, or a position that it has not; says which, in a sentence."""


@dataclass(frozen=True)
class Knobs:
    """jitter: spread TTLs; copies: documents are also kept in each process; events: changed rows are told by the
    relay; latency_ms: added to each query; ttl_scale: all TTLs times this, so that a cliff comes within a minute."""

    pattern: str = "cache-aside"
    prevention: str = "none"
    jitter: bool = True
    copies: bool = False
    events: bool = True
    latency_ms: float = 0.0
    ttl_scale: float = 1.0

    def turned(self, wanted: object) -> Knobs:
        """With those of `wanted` (a JSON object) turned. Raises BadKnob."""
        if not isinstance(wanted, Mapping):
            raise BadKnob("the knobs must be a JSON object")
        names = {field.name for field in fields(self)}
        if unknown := sorted(set(wanted) - names):
            raise BadKnob(f"there is no knob {unknown[0]}: there are {', '.join(sorted(names))}")
        return replace(self, **{name: _CHECKS[name](name, value) for name, value in wanted.items()})

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def _one_of(choices: tuple[str, ...]) -> Any:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise BadKnob(f"{name} must be one of {', '.join(choices)}")
        return value

    return check


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadKnob(f"{name} must be true or false")
    return value


def _number(low: float, high: float) -> Any:
    def check(name: str, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise BadKnob(f"{name} must be a number from {low:g} to {high:g}")
        return float(value)

    return check


_CHECKS = {
    "pattern": _one_of(PATTERNS),
    "prevention": _one_of(PREVENTIONS),
    "jitter": _switch,
    "copies": _switch,
    "events": _switch,
    "latency_ms": _number(0.0, MOST_LATENCY_MS),
    "ttl_scale": _number(*TTL_SCALES),
}
