"""What findings are made from: the last readings of each primary and what happened lately. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from dashboard.cache.statistics.info import Reading
from dashboard.cache.statistics.rates import Rates, sum_rates, total
from dashboard.cache.wording import span

Level = Literal["critical", "warning", "ok", "info"]
LEVELS: tuple[Level, ...] = ("critical", "warning", "ok", "info")
"""The worst first."""

WINDOW_SECONDS = 300.0  # "lately": long enough to smooth bursts, short enough to show what goes on now
STALE_PERIODS = 3  # one late sample is a busy machine, three in a row are a fault
FORGET_SECONDS = 900.0  # a primary silent for longer than the charts reach has left the cluster


@dataclass(frozen=True)
class Finding:
    """One line for the operator. `screen`: the endpoint's blueprint where more is to be seen, if any; `number`: of what
    it shows there, where it shows one of many. `rule`, `topic`: of the rule that has found it (findings/rule.py)."""

    level: Level
    sentence: str
    advice: str = ""
    screen: str | None = None
    rule: str = ""
    topic: str = ""
    number: int | None = None


@dataclass(frozen=True)
class Analysed:
    """What the last complete analysis of all keys has weighed, bytes, and when it ended (epoch seconds)."""

    memory: float
    without_ttl: float
    at: float


@dataclass(frozen=True)
class OpenTrial:
    """Settings that are to be taken back at `ends_at` (epoch seconds). `what`: in words. `stuck`: that did not work."""

    number: int
    what: str
    ends_at: float
    stuck: bool = False


@dataclass(frozen=True)
class Stampeded:
    """What the last watch for stampedes has seen: how many keys had one, and when it saw that (epoch seconds)."""

    keys: int
    at: float


@dataclass(frozen=True)
class Known:
    """What is known of a cache besides its samples; None where nobody has looked.

    p99_ms: of the commands of the last minutes. stampeded: of the last hour.
    """

    analysed: Analysed | None = None
    trials: tuple[OpenTrial, ...] = ()
    p99_ms: float | None = None
    stampeded: Stampeded | None = None


@dataclass(frozen=True)
class Span:
    """One primary: its latest reading, the last five minutes and the five before; None where unknown."""

    latest: Reading
    recent: Rates | None = None
    earlier: Rates | None = None

    @property
    def name(self) -> str:
        return self.latest.node

    @property
    def policy(self) -> str:
        return self.latest.facts.get("maxmemory_policy", "")


@dataclass(frozen=True)
class Picture:
    """A cache as its samples show it.

    `now`: epoch seconds; `period`: seconds between samples; `trouble`: (sentence, advice) of a look
    at the server itself, taken only when samples are missing; `denied`: command -> why not; `known`: what is known
    besides samples.
    """

    now: float
    period: float
    spans: tuple[Span, ...]
    trouble: tuple[str, str] | None = None
    denied: Mapping[str, str] = field(default_factory=dict)
    known: Known = Known()

    @cached_property
    def newest(self) -> float | None:
        """Epoch seconds of the newest sample of any primary."""
        return max((span.latest.at for span in self.spans), default=None)

    @property
    def age(self) -> float:
        """Seconds since the newest sample; infinite without one."""
        return float("inf") if self.newest is None else max(self.now - self.newest, 0.0)

    @property
    def stale(self) -> bool:
        return self.age > STALE_PERIODS * self.period

    @cached_property
    def fresh(self) -> tuple[Span, ...]:
        """Primaries that were sampled together with the newest one: what totals are made of."""
        limit = (self.newest or 0.0) - STALE_PERIODS * self.period
        return tuple(span for span in self.spans if span.latest.at >= limit)

    @cached_property
    def silent(self) -> tuple[Span, ...]:
        """Primaries that answered not long ago and do not answer now, while others do."""
        limit = (self.newest or 0.0) - FORGET_SECONDS
        return tuple(span for span in self.spans if span not in self.fresh and span.latest.at >= limit)

    @cached_property
    def whole(self) -> Reading | None:
        return total(span.latest for span in self.fresh)

    @cached_property
    def recent(self) -> Rates | None:
        return sum_rates([span.recent for span in self.fresh if span.recent])

    @cached_property
    def earlier(self) -> Rates | None:
        return sum_rates([span.earlier for span in self.fresh if span.earlier])

    def where(self, spans: Sequence[Span]) -> str:
        """'' for a standalone server, else ' on 10.0.0.3:6379', ' on 2 of 3 primaries'."""
        if len(self.fresh) <= 1 or not spans:
            return ""
        if len(spans) == 1:
            return f" on {spans[0].name}"
        share = f"all {len(spans)}" if len(spans) == len(self.fresh) else f"{len(spans)} of {len(self.fresh)}"
        return f" on {share} primaries"


def window(lately: Rates) -> str:
    """How long a period was, in words. One sample a minute marks its beginning, so 5 min may be half a minute off."""
    near = abs(lately.seconds - WINDOW_SECONDS) <= 30
    return span(WINDOW_SECONDS if near else lately.seconds)


def picture(
    now: float,
    period: float,
    latest: Iterable[Reading],
    recent: Mapping[str, Rates],
    earlier: Mapping[str, Rates],
    trouble: tuple[str, str] | None = None,
    denied: Mapping[str, str] | None = None,
) -> Picture:
    """A Picture from readings and from rates by node name."""
    spans = tuple(Span(one, recent.get(one.node), earlier.get(one.node)) for one in latest)
    return Picture(now, period, spans, trouble, denied or {})
