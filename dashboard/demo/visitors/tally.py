"""What the driver counts and the line it says of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dashboard.demo.visitors.latencies import Latencies

FROM_CACHE = ("hit", "stale", "copy")  # of X-Cache: nobody waited for the database


@dataclass
class Tally:
    """Of one interval. Latencies count from the moment a request was due to the end of its answer.

    `judged` reads showed a version of a row, `stale` ones an older version than one acknowledged before they began.
    """

    sources: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    errors: int = 0
    dropped: int = 0
    judged: int = 0
    stale: int = 0

    @classmethod
    def together(cls, several: Iterable[Tally]) -> Tally:
        """All of several; one that is named twice counts twice."""
        several = list(several)
        result = cls(latencies=Latencies.together(one.latencies for one in several))
        for one in several:
            result.sources.update(one.sources)
            result.errors += one.errors
            result.dropped += one.dropped
            result.judged += one.judged
            result.stale += one.stale
        return result

    @property
    def requests(self) -> int:
        """Those that were answered."""
        return self.latencies.total()

    @property
    def hit_ratio(self) -> float | None:
        """The share of the reads through the cache that did not wait for the database; None of none."""
        reads = self.sources.total()
        return sum(self.sources[source] for source in FROM_CACHE) / reads if reads else None

    def line(self, seconds: float) -> str:
        """One line for the log over an interval of so many seconds."""
        ratio = self.hit_ratio
        p50, p99 = (_milliseconds(found) for found in self.latencies.percentiles(0.5, 0.99))
        parts = [
            f"{self.requests / seconds:.0f} req/s",
            f"hit ratio {'-' if ratio is None else f'{100 * ratio:.1f} %'}",
            f"p50 {p50}",
            f"p99 {p99}",
            f"errors {self.errors}",
        ]
        if self.stale:
            parts.append(f"stale {self.stale}")
        if self.dropped:
            parts.append(f"dropped {self.dropped}")
        return "  ".join(parts)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f} ms"


class Ledger:
    """The running tally, shared by the driver's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tally = Tally()

    def answered(self, latency: float, status: int, source: str | None) -> None:
        with self._lock:
            self._tally.latencies.add(latency)
            if source is not None:
                self._tally.sources[source] += 1
            # A row that does not exist is a proper answer.
            if status >= 400 and status != 404:
                self._tally.errors += 1

    def judged(self, *, stale: bool) -> None:
        with self._lock:
            self._tally.judged += 1
            self._tally.stale += stale

    def failed(self) -> None:
        with self._lock:
            self._tally.errors += 1

    def dropped(self, count: int) -> None:
        with self._lock:
            self._tally.dropped += count

    def take(self) -> Tally:
        """What has been counted since the last time."""
        with self._lock:
            taken, self._tally = self._tally, Tally()
        return taken
