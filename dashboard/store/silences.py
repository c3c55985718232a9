"""Findings that somebody does not want to hear of on one cache, with the reason."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import delete, select

from dashboard.store.engine import Store
from dashboard.store.schema import SilenceRow
from dashboard.store.trail import storable


@dataclass(frozen=True)
class Silence:
    """`rule`: the finding's. `until`: epoch seconds, None for ever."""

    cache: str
    rule: str
    reason: str
    actor: str
    at: float
    until: float | None = None


def of_cache(store: Store, cache: str, now: float | None = None) -> dict[str, Silence]:
    """What is silenced on a cache now, by rule. Raises StoreUnavailable."""
    now = time.time() if now is None else now
    with store.read() as session:
        rows = session.scalars(select(SilenceRow).where(SilenceRow.cache == cache).order_by(SilenceRow.rule))
        found = [_silence(row) for row in rows]
    return {one.rule: one for one in found if one.until is None or one.until > now}


def silence(store: Store, wanted: Silence) -> Silence:
    """Silence a rule; what was said of it before is replaced. Raises StoreUnavailable."""
    with store.write() as session:
        row = session.get(SilenceRow, (wanted.cache, wanted.rule))
        if row is None:
            row = SilenceRow(cache=wanted.cache, rule=wanted.rule)
            session.add(row)
        row.reason, row.actor, row.at, row.until = (
            storable(wanted.reason),
            storable(wanted.actor),
            wanted.at,
            wanted.until,
        )
        session.flush()
        return _silence(row)


def lift(store: Store, cache: str, rule: str) -> bool:
    """Hear of a rule again; whether it was silenced. Raises StoreUnavailable."""
    with store.write() as session:
        row = session.get(SilenceRow, (cache, rule))
        session.execute(delete(SilenceRow).where(SilenceRow.cache == cache, SilenceRow.rule == rule))
        return row is not None


def _silence(row: SilenceRow) -> Silence:
    return Silence(row.cache, row.rule, row.reason, row.actor, row.at, row.until)
