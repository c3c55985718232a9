"""How a subscription stands, as the console's meter shows it."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.cache.events.heavy_hitters import Hitter
from dashboard.cache.events.meter import SECONDS
from dashboard.cache.events.standing import Standing
from dashboard.cache.selecting.key_token import printable

HEIGHT = 32
"""Of the line of the last minute, in the units of its viewBox; a second is 4 wide."""
WIDTH = 4 * (SECONDS - 1)


@dataclass(frozen=True)
class Trouble:
    """What is not heard: sentence and advice; since: seconds since the epoch, None where it never was."""

    sentence: str
    advice: str
    since: float | None


@dataclass(frozen=True)
class Meter:
    """standing: the figures. points: a polyline of the last minute. most: in a second of it. busiest: (channel,
    share of all events). troubles: what is not heard, and why."""

    standing: Standing
    points: str
    most: int
    busiest: tuple[tuple[str, float], ...]
    troubles: tuple[Trouble, ...]
    width: int = WIDTH
    height: int = HEIGHT


def shown(standing: Standing) -> Meter:
    most = max(standing.seconds, default=0)
    return Meter(
        standing,
        _points(standing.seconds, most),
        most,
        tuple((printable(one.name), _share(one, standing.total)) for one in standing.busiest),
        troubles(standing),
    )


def troubles(standing: Standing) -> tuple[Trouble, ...]:
    """What is not heard at the moment: nodes, and sources that were refused."""
    silent = [
        Trouble(f"{one.node}: {one.error.sentence}" if one.node else one.error.sentence, one.error.advice, one.since)
        for one in standing.silent
    ]
    # Each node says the same of a channel that it denies.
    refused = {one.error.sentence: Trouble(one.error.sentence, one.error.advice, None) for _, one in standing.refusals}
    return (*silent, *refused.values())


def _points(seconds: tuple[int, ...], most: int) -> str:
    """Of an SVG polyline; the newest second is at its right end."""
    first = SECONDS - len(seconds)
    return " ".join(
        f"{4 * (first + place)},{HEIGHT - 1 - round((HEIGHT - 2) * value / most if most else 0, 1)}"
        for place, value in enumerate(seconds)
    )


def _share(one: Hitter[bytes], total: int) -> float:
    return one.count / total if total else 0.0
