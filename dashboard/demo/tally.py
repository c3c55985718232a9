"""What the driver counts and the line it says of it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Of one interval. Latencies in seconds, from the moment a request was due to the end of its answer."""

    sources: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    dropped: int = 0

    def line(self, seconds: float) -> str:
        """One line for the log over an interval of so many seconds."""
        reads = self.sources.total()
        hits = f"{100 * self.sources['hit'] / reads:.1f} %" if reads else "-"
        said = (
            f"{len(self.latencies) / seconds:.0f} req/s  hit ratio {hits}"
            f"  p50 {self._percentile(0.5)}  p99 {self._percentile(0.99)}  errors {self.errors}"
        )
        return f"{said}  dropped {self.dropped}" if self.dropped else said

    def _percentile(self, share: float) -> str:
        if not self.latencies:
            return "-"
        ranked = sorted(self.latencies)
        return f"{1000 * ranked[min(len(ranked) - 1, int(share * len(ranked)))]:.1f} ms"


class Ledger:
    """The running tally, shared by the driver's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tally = Tally()

    def answered(self, latency: float, status: int, source: str | None) -> None:
        with self._lock:
            self._tally.latencies.append(latency)
            if source is not None:
                self._tally.sources[source] += 1
            # A row that does not exist is a proper answer.
            if status >= 400 and status != 404:
                self._tally.errors += 1

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
