"""Samples of nodes, thinned out as they grow old: what the tables of samples.py and command_samples.py share.

Counters are stored as the server reports them, not as rates: so the last sample of a bucket is all
that its length needs, and a rate between any two samples is exact.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    Select,
    String,
    Subquery,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from dashboard.store.engine import Store
from dashboard.store.schema import CommandSampleRow, SampleRow

RAW = 0
"""The resolution of samples as they were taken."""

SLACK_SECONDS = 60.0
"""Kept longer than said: a page that asks for the last hour is a moment older than its question."""

AHEAD_SECONDS = 3600.0
"""What claims to be from later than this was taken while the clock was wrong."""

_FOREVER_MS = 2**62

_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

Kept = Mapping[int, float]
"""How long (seconds) samples of each resolution (seconds) are kept, the finest first: RAW, and multiples of it."""

V = TypeVar("V")


@dataclass(frozen=True)
class Taken(Generic[V]):
    """One node's values at the time `at` (seconds since the epoch)."""

    at: float
    cache: str
    node: str
    values: Mapping[str, V]


class _Read(NamedTuple):
    slot_ms: int
    at: float
    node: str
    counters: bytes


class Thinned(Generic[V]):
    """One table of samples. Every method raises StoreUnavailable."""

    def __init__(self, row: type[SampleRow] | type[CommandSampleRow], kept: Kept) -> None:
        self._row: Any = row  # SQLAlchemy's columns have one type for both tables, which mypy cannot tell
        self._kept = kept
        # What pages ask for is put together once: composing a statement takes longer than executing it.
        self._every_row, self._last_rows, self._newest_rows = _every(row), _last(row), _newest(row)

    def save(self, store: Store, samples: Iterable[Taken[V]], period: float = 2.0) -> None:
        """Keep samples. Of each node, one is kept in each `period` (seconds): the first to come.

        So a second worker does no harm. Raises ValueError for values that are not finite.
        """
        rows = [self._new(sample, period) for sample in samples]
        if rows:
            with store.write() as session:
                self._insert_new(session, rows)

    def load(
        self,
        store: Store,
        cache: str,
        since: float,
        until: float | None = None,
        resolution: int | None = None,
        now: float | None = None,
        *,
        every: float = 0.0,
        node: str = "",
    ) -> list[Taken[V]]:
        """The samples of a cache with `since` <= at <= `until`, by at, then node; of one node where it is named.

        `resolution` is RAW or another that is kept: by default the finest that is still kept for `since`. The
        newest samples, which no coarse bucket holds yet, are thinned out to it as they are read, so the
        series goes on to the last sample. every: of each node, the last in each so many seconds, where that is more.
        """
        now = time.time() if now is None else now
        if resolution is None:
            resolution = self._finest_for(now - since)
        until = math.inf if until is None else until
        # Rows are found by their slot, which begins up to a sampling period before they were taken.
        start_ms = _slot_ms(since, resolution or 1) - round(1000 * SLACK_SECONDS)
        width_ms = max(round(1000 * max(every, resolution)), 1)
        end_ms = _FOREVER_MS if until == math.inf else round(1000 * until)
        found: dict[tuple[str, int], _Read] = {}
        with store.read() as session:
            for level in sorted((level for level in self._kept if level <= resolution), reverse=True):
                rows = self._rows(session, cache, node, level, (start_ms, end_ms), width_ms)
                found |= {(row.node, row.slot_ms // width_ms): row for row in rows}
                start_ms = max((row.slot_ms + 1000 * level for row in rows), default=start_ms)
        wanted = sorted((row for row in found.values() if since <= row.at <= until), key=lambda row: (row.at, row.node))
        return [Taken(row.at, cache, row.node, _unpacked(row.counters)) for row in wanted]

    def latest(self, store: Store, cache: str) -> list[Taken[V]]:
        """The newest sample of each node that was sampled in the last hour or so, by node.

        A node that is gone stays here until then: `at` says how old its sample is.
        """
        with store.read() as session:
            found = session.execute(self._newest_rows, {"cache": cache}).all()
        return [Taken(at, cache, node, _unpacked(counters)) for at, node, counters in found]

    def compact(self, store: Store, now: float) -> None:
        """Keep the last sample of every finished bucket, and drop what is too old (or of the future).

        May be called at any time and as often as one likes; about once a minute is enough, and costs one
        short transaction for each cache.
        """
        with store.read() as session:
            caches = list(session.scalars(select(self._row.cache).distinct()))
        for cache in caches:
            with store.write() as session:
                for fine, coarse in pairwise(self._kept):
                    self._promote(session, cache, fine, coarse, now)
                for resolution, kept in self._kept.items():
                    self._drop(session, cache, resolution, now - kept - SLACK_SECONDS, now + AHEAD_SECONDS)

    def _finest_for(self, age: float) -> int:
        return next((level for level, kept in self._kept.items() if age <= kept + SLACK_SECONDS), max(self._kept))

    def _rows(
        self, session: Session, cache: str, node: str, level: int, span: tuple[int, int], width_ms: int
    ) -> Sequence[_Read]:
        """The rows of a level in a span (both ends, ms); of each node's buckets the last, where they hold several."""
        asked = {"cache": cache, "node": node, "level": level, "start_ms": span[0], "end_ms": span[1]}
        if width_ms > 1000 * level and width_ms > 1:
            found = session.execute(self._last_rows, asked | {"width_ms": width_ms})
        else:
            found = session.execute(self._every_row, asked)
        return [_Read(*one) for one in found]

    def _promote(self, session: Session, cache: str, fine: int, coarse: int, now: float) -> None:
        """Copy the last fine sample of each coarse bucket that ended since the last one that was kept."""
        row = self._row
        width_ms = 1000 * coarse
        kept = select(func.max(row.slot_ms)).where(
            row.cache == cache, row.resolution == coarse, row.slot_ms <= round(1000 * now)
        )
        last_kept = session.scalar(kept)
        start_ms = 0 if last_kept is None else last_kept + width_ms
        end_ms = _slot_ms(now, coarse)
        if start_ms >= end_ms:
            return
        asked = {"cache": cache, "node": "", "level": fine, "start_ms": start_ms, "end_ms": end_ms - 1}
        last = _last_of(row)
        rows = session.scalars(select(row).join(last, _same(row, last.c)), asked | {"width_ms": width_ms})
        promoted = [_columns(one, coarse, one.slot_ms // width_ms * width_ms) for one in rows]
        if promoted:
            self._insert_new(session, promoted)

    def _drop(self, session: Session, cache: str, resolution: int, before: float, after: float) -> None:
        row = self._row
        session.execute(
            delete(row).where(
                row.cache == cache,
                row.resolution == resolution,
                or_(row.slot_ms < round(1000 * before), row.slot_ms > round(1000 * after)),
            )
        )

    def _insert_new(self, session: Session, rows: list[dict[str, object]]) -> None:
        """Insert the rows whose key is not there yet, be it only just now by another process."""
        special = _INSERTS.get(session.get_bind().dialect.name)
        if special is not None:
            session.execute(special(self._row).on_conflict_do_nothing(), rows)
            return
        for one in rows:
            try:
                with session.begin_nested():
                    session.execute(insert(self._row), [one])
            except IntegrityError:
                continue

    def _new(self, sample: Taken[V], period: float) -> dict[str, object]:
        counters = _packed(sample.values)
        row = self._row(cache=sample.cache, node=sample.node, at=sample.at, counters=counters)
        return _columns(row, RAW, _slot_ms(sample.at, period))


def _every(row: Any) -> Select[Any]:
    """slot_ms, at, node, counters of the rows in a span: see _in_span()."""
    nodes = _nodes(row)
    query = select(row.slot_ms, row.at, row.node, row.counters).join(nodes, row.node == nodes.c.node)
    return query.where(*_in_span(row, nodes))


def _last(row: Any) -> Select[Any]:
    """The same, of each node the last in each bucket of `width_ms`."""
    last = _last_of(row)
    return select(row.slot_ms, row.at, row.node, row.counters).join(last, _same(row, last.c))


def _last_of(row: Any) -> Subquery:
    """The keys of the last row of each node in each bucket of `width_ms`, of the rows in a span.

    A node at a time, so that the primary key's index has all that is asked for. By another index each row is looked
    up for the name of its node, and a page of the database holds no more than three or four of them.
    """
    row, nodes = aliased(row), _nodes(row)
    key = (row.cache, row.node, row.resolution)
    query = select(*key, func.max(row.slot_ms).label("slot_ms")).join(nodes, row.node == nodes.c.node)
    bucket = row.slot_ms // bindparam("width_ms", type_=BigInteger)
    return query.where(*_in_span(row, nodes)).group_by(*key, bucket).subquery()


def _in_span(row: Any, nodes: CTE) -> tuple[Any, ...]:
    """Asked for by `cache`, `level`, `start_ms`, `end_ms`, and `node`: one, or "" for all."""
    node = bindparam("node", type_=String)
    return (
        row.cache == bindparam("cache"),
        row.resolution == bindparam("level"),
        row.slot_ms.between(bindparam("start_ms"), bindparam("end_ms")),
        or_(node == "", nodes.c.node == node),
    )


def _newest(row: Any) -> Select[Any]:
    """at, node, counters of the newest row of each node of `cache`, by node."""
    nodes, other = _nodes(row), aliased(row)
    of_node = (other.cache == bindparam("cache"), other.node == nodes.c.node, other.resolution == RAW)
    newest = select(func.max(other.slot_ms)).where(*of_node).correlate(nodes).scalar_subquery()
    is_last = and_(row.node == nodes.c.node, row.slot_ms == newest)
    query = select(row.at, row.node, row.counters).select_from(nodes).join(row, is_last)
    return query.where(row.cache == bindparam("cache"), row.resolution == RAW).order_by(row.node)


def _nodes(row: Any) -> CTE:
    """`node`: those of which `cache` has samples, and a null.

    From each name to the next in the index: grouping an hour's rows by their node reads all of them.
    """
    row = aliased(row)
    cache: BindParameter[str] = bindparam("cache")
    nodes = select(func.min(row.node).label("node")).where(row.cache == cache).cte("nodes", recursive=True)
    following = select(func.min(row.node)).where(row.cache == cache, row.node > nodes.c.node)
    return nodes.union_all(select(following.scalar_subquery()).where(nodes.c.node.is_not(None)))


def _same(row: Any, key: Any) -> Any:
    """Whether a row has this key. All of it: a constant in its place would lead a database to another index."""
    return and_(*(getattr(row, name) == getattr(key, name) for name in ("cache", "node", "resolution", "slot_ms")))


def _packed(values: Mapping[str, Any]) -> bytes:
    """Names are alike in all rows and numbers have few digits: a third is left."""
    # Whole numbers without their ".0", which would be a tenth of it.
    short = {name: int(one) if isinstance(one, float) and one.is_integer() else one for name, one in values.items()}
    return zlib.compress(json.dumps(short, separators=(",", ":"), allow_nan=False).encode())


def _unpacked(body: bytes) -> Any:
    """Rows of older versions are JSON as it is."""
    return json.loads(body if body.startswith(b"{") else zlib.decompress(body))


def _slot_ms(at: float, width: float) -> int:
    """The start, in ms, of the bucket of `width` seconds that holds `at`."""
    return round(math.floor(at / width) * width * 1000)


def _columns(row: Any, resolution: int, slot_ms: int) -> dict[str, object]:
    return {
        "cache": row.cache,
        "node": row.node,
        "resolution": resolution,
        "slot_ms": slot_ms,
        "at": row.at,
        "counters": row.counters,
    }
