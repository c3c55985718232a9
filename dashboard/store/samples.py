"""Counters of the managed servers over time, thinned out as they grow old.

    as sampled (every 2 s by default)   kept 1 h     1,800 rows a node
    the last of each minute             kept 24 h    1,440
    the last of each 15 min             kept 30 d    2,880

Counters are stored as the server reports them, not as rates: so the last sample of a bucket is all
that its length needs, and a rate between any two samples is exact.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dashboard.store.engine import Store
from dashboard.store.schema import SampleRow

RAW = 0
"""The resolution of samples as they were taken."""

MINUTE, QUARTER = 60, 900

KEPT_SECONDS: Mapping[int, float] = {RAW: 3600.0, MINUTE: 86400.0, QUARTER: 30 * 86400.0}
"""How long samples of each resolution (seconds) are kept; the finest first."""

SLACK_SECONDS = 60.0
"""Kept longer than said: a page that asks for the last hour is a moment older than its question."""

AHEAD_SECONDS = 3600.0
"""What claims to be from later than this was taken while the clock was wrong."""

_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True)
class Sample:
    """One node's counters at the time `at` (seconds since the epoch)."""

    at: float
    cache: str
    node: str
    values: Mapping[str, float]


def save(store: Store, samples: Iterable[Sample], period: float = 2.0) -> None:
    """Keep samples. Of each node, one is kept in each `period` (seconds): the first to come.

    So a second worker does no harm. Raises ValueError for values that are not finite, StoreUnavailable.
    """
    rows = [_new(sample, period) for sample in samples]
    if rows:
        with store.write() as session:
            _insert_new(session, rows)


def load(
    store: Store,
    cache: str,
    since: float,
    until: float | None = None,
    resolution: int | None = None,
    now: float | None = None,
) -> list[Sample]:
    """The samples of every node of a cache with `since` <= at <= `until`, ordered by at, then node.

    `resolution` is RAW, MINUTE or QUARTER: by default the finest that is still kept for `since`. The
    newest samples, which no coarse bucket holds yet, are thinned out to it as they are read, so the
    series goes on to the last sample. Raises StoreUnavailable.
    """
    now = time.time() if now is None else now
    if resolution is None:
        resolution = _finest_for(now - since)
    until = math.inf if until is None else until
    # Rows are found by their slot, which begins up to a sampling period before they were taken.
    start_ms = _slot_ms(since, resolution or 1) - round(1000 * SLACK_SECONDS)
    found: dict[tuple[str, int], SampleRow] = {}
    with store.read() as session:
        for level in sorted((level for level in KEPT_SECONDS if level <= resolution), reverse=True):
            rows = _rows(session, cache, level, start_ms)
            found |= {(row.node, row.slot_ms // (1000 * resolution or 1)): row for row in rows}
            start_ms = max((row.slot_ms + 1000 * level for row in rows), default=start_ms)
    wanted = [row for row in found.values() if since <= row.at <= until]
    return [_sample(row) for row in sorted(wanted, key=lambda row: (row.at, row.node))]


def latest(store: Store, cache: str) -> list[Sample]:
    """The newest sample of each node that was sampled in the last hour or so, by node.

    A node that is gone stays here until then: `at` says how old its sample is. Raises StoreUnavailable.
    """
    raw = (SampleRow.cache == cache, SampleRow.resolution == RAW)
    newest = select(SampleRow.node, func.max(SampleRow.slot_ms).label("slot_ms"))
    last = newest.where(*raw).group_by(SampleRow.node).subquery()
    is_last = and_(SampleRow.node == last.c.node, SampleRow.slot_ms == last.c.slot_ms)
    with store.read() as session:
        rows = session.scalars(select(SampleRow).join(last, is_last).where(*raw).order_by(SampleRow.node))
        return [_sample(row) for row in rows]


def compact(store: Store, now: float) -> None:
    """Keep the last sample of every finished bucket, and drop what is too old (or of the future).

    May be called at any time and as often as one likes; about once a minute is enough, and costs one
    short transaction for each cache. Raises StoreUnavailable.
    """
    with store.read() as session:
        caches = list(session.scalars(select(SampleRow.cache).distinct()))
    for cache in caches:
        with store.write() as session:
            _promote(session, cache, RAW, MINUTE, now)
            _promote(session, cache, MINUTE, QUARTER, now)
            for resolution, kept in KEPT_SECONDS.items():
                _drop(session, cache, resolution, now - kept - SLACK_SECONDS, now + AHEAD_SECONDS)


def _finest_for(age: float) -> int:
    return next((level for level, kept in KEPT_SECONDS.items() if age <= kept + SLACK_SECONDS), QUARTER)


def _rows(session: Session, cache: str, resolution: int, start_ms: int) -> Sequence[SampleRow]:
    query = select(SampleRow).where(
        SampleRow.cache == cache, SampleRow.resolution == resolution, SampleRow.slot_ms >= start_ms
    )
    return session.scalars(query.order_by(SampleRow.slot_ms)).all()


def _promote(session: Session, cache: str, fine: int, coarse: int, now: float) -> None:
    """Copy the last fine sample of each coarse bucket that ended since the last one that was kept."""
    width_ms = 1000 * coarse
    kept = select(func.max(SampleRow.slot_ms)).where(
        SampleRow.cache == cache, SampleRow.resolution == coarse, SampleRow.slot_ms <= round(1000 * now)
    )
    last_kept = session.scalar(kept)
    start_ms = 0 if last_kept is None else last_kept + width_ms
    end_ms = _slot_ms(now, coarse)
    if start_ms >= end_ms:
        return
    of_cache = (SampleRow.cache == cache, SampleRow.resolution == fine)
    last = (
        select(SampleRow.node, func.max(SampleRow.slot_ms).label("slot_ms"))
        .where(*of_cache, SampleRow.slot_ms >= start_ms, SampleRow.slot_ms < end_ms)
        .group_by(SampleRow.node, SampleRow.slot_ms // width_ms)
        .subquery()
    )
    is_last = and_(SampleRow.node == last.c.node, SampleRow.slot_ms == last.c.slot_ms)
    rows = session.scalars(select(SampleRow).join(last, is_last).where(*of_cache))
    promoted = [_columns(row, coarse, row.slot_ms // width_ms * width_ms) for row in rows]
    if promoted:
        _insert_new(session, promoted)


def _drop(session: Session, cache: str, resolution: int, before: float, after: float) -> None:
    session.execute(
        delete(SampleRow).where(
            SampleRow.cache == cache,
            SampleRow.resolution == resolution,
            or_(SampleRow.slot_ms < round(1000 * before), SampleRow.slot_ms > round(1000 * after)),
        )
    )


def _insert_new(session: Session, rows: list[dict[str, object]]) -> None:
    """Insert the rows whose key is not there yet, be it only just now by another process."""
    special = _INSERTS.get(session.get_bind().dialect.name)
    if special is not None:
        session.execute(special(SampleRow).on_conflict_do_nothing(), rows)
        return
    for row in rows:
        try:
            with session.begin_nested():
                session.execute(insert(SampleRow), [row])
        except IntegrityError:
            continue


def _slot_ms(at: float, width: float) -> int:
    """The start, in ms, of the bucket of `width` seconds that holds `at`."""
    return round(math.floor(at / width) * width * 1000)


def _new(sample: Sample, period: float) -> dict[str, object]:
    counters = json.dumps(dict(sample.values), separators=(",", ":"), allow_nan=False)
    row = SampleRow(cache=sample.cache, node=sample.node, at=sample.at, counters=counters)
    return _columns(row, RAW, _slot_ms(sample.at, period))


def _columns(row: SampleRow, resolution: int, slot_ms: int) -> dict[str, object]:
    return {
        "cache": row.cache,
        "node": row.node,
        "resolution": resolution,
        "slot_ms": slot_ms,
        "at": row.at,
        "counters": row.counters,
    }


def _sample(row: SampleRow) -> Sample:
    return Sample(row.at, row.cache, row.node, json.loads(row.counters))
