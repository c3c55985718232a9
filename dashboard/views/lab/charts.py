"""The charts of the Lab screen: figures of the last ten minutes as static/js/chart.js reads them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboard.lab.state import Series

SPAN_SECONDS = 600


@dataclass(frozen=True)
class Drawing:
    """One chart: what stands above it, and its lines as pairs of a label and a name of state.SERIES."""

    id: str
    title: str
    unit: str
    caption: str
    lines: tuple[tuple[str, str], ...]
    format: str = "number"


DRAWINGS = (
    Drawing("hit_ratio", "Hit ratio", "", "Of reads that go through the cache.", (("hits", "hit_ratio"),), "percent"),
    Drawing("latency", "Latency", "ms", "From when a request was due.", (("p50", "p50_ms"), ("p99", "p99_ms"))),
    Drawing("queries", "Database queries", "/s", "What the cache is there to spare.", (("queries", "queries"),)),
    Drawing("duplicates", "Duplicate loads", "/s", "Of keys that somebody loads already.", (("loads", "duplicates"),)),
    Drawing(
        "stale_reads", "Stale reads", "/s", "Older than a change acknowledged before.", (("reads", "stale_reads"),)
    ),
    Drawing("lag", "Write lag", "s", "Of the oldest change that the database lacks.", (("lag", "lag_s"),)),
    Drawing("requests", "Requests", "/s", "Sent by visitors, whatever came back.", (("requests", "requests"),)),
    Drawing("errors", "Errors", "/s", "What visitors got instead of an answer.", (("errors", "errors"),)),
)
IDS = tuple(one.id for one in DRAWINGS)


def drawn(series: Series) -> list[dict[str, Any]]:
    """Every chart of DRAWINGS."""
    return [
        {
            "id": one.id,
            "title": one.title,
            "unit": one.unit,
            "format": one.format,
            "caption": one.caption,
            "x": series.at,
            "lines": [{"label": label, "values": series.values[name]} for label, name in one.lines],
            "limit": None,
        }
        for one in DRAWINGS
    ]
