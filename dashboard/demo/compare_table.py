"""A comparison as a table for the terminal."""

from __future__ import annotations

from dashboard.demo.bench.comparison import Result, Snapshot
from dashboard.demo.bench.intervals import Interval

COLUMNS = (
    "pattern",
    "requests",
    "hit ratio, %",
    "p50, ms",
    "p99, ms",
    "queries/s",
    "duplicate loads",
    "stale reads",
    "bypasses",
    "lag, s",
    "lost",
    "errors",
)
LEGEND = """\
In brackets: 95 % intervals, by a bootstrap over blocks of one second.
duplicate loads: of what somebody else was loading at that moment. stale reads: began after a change was acknowledged
and showed the row before it. bypasses: answered by the database, as the cache did not answer in time. lag: the longest
that a change waited for the database. lost: acknowledged, and not in the database afterwards."""


def table(snapshot: Snapshot) -> str:
    """What was measured so far, a line a pattern, and what the columns mean."""
    lines = [COLUMNS, *(_cells(row) for row in snapshot.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    drawn = []
    for line in lines:
        first, *others = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        drawn.append("  ".join([first, *others]))
    prevention = f"Stampede prevention: {snapshot.rows[0].prevention}." if snapshot.rows else "Nothing was measured."
    return "\n".join([snapshot.sentence, prevention, "", *drawn, "", LEGEND])


def _cells(row: Result) -> tuple[str, ...]:
    figures = row.figures
    return (
        row.pattern,
        f"{row.requests:,}" + (f" (+{row.dropped:,} dropped)" if row.dropped else ""),
        _interval(figures["hit_ratio"], 100),
        _interval(figures["p50_ms"]),
        _interval(figures["p99_ms"]),
        _interval(figures["queries"]),
        f"{row.duplicate_total:,}",
        f"{row.stale_reads:,} of {row.reads_judged:,}",
        f"{row.bypasses:,}",
        f"{row.lag_s:.1f}",
        "not known" if row.lost is None else f"{row.lost:,}",
        f"{row.errors:,}",
    )


def _interval(found: Interval, factor: float = 1) -> str:
    if found.value is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value * factor:.1f}"
    return f"{found.value * factor:.1f} [{found.low * factor:.1f}, {found.high * factor:.1f}]"
