"""TTL rules: which keys should live for how long, for one cache or for all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.schema import TtlRuleRow

EVERY_CACHE = ""
MOST = 50
"""Rules that hold for one cache. Each key of an analysis is held against every one, by a script on the server."""


@dataclass(frozen=True)
class TtlRule:
    """Keys of `pattern` should have `low` to `high` seconds to live. `cache` is EVERY_CACHE or a cache's name.

    built_in: came with Cachedeck; it may be changed and removed like any other.
    """

    id: int
    cache: str
    pattern: bytes
    low: float
    high: float
    reason: str
    built_in: bool


@dataclass(frozen=True)
class Draft:
    """What an operator says of a rule. Whether it makes sense is checked where it comes in."""

    cache: str
    pattern: bytes
    low: float
    high: float
    reason: str


class UnknownRule(StoreError):
    """No rule has this id (any more)."""


class PatternTaken(StoreError):
    """There is a rule for the same pattern and the same caches."""


class TooManyRules(StoreError):
    """One cache would have more than MOST rules."""


def for_cache(store: Store, cache: str) -> list[TtlRule]:
    """The rules that hold for one cache, in the order in which they were made.

    A rule of its own takes the place of the one for every cache that has the same pattern.
    """
    with store.read() as session:
        found = session.scalars(
            select(TtlRuleRow).where(TtlRuleRow.cache.in_((EVERY_CACHE, cache))).order_by(TtlRuleRow.id)
        )
        rules = [_rule(row) for row in found]
    own = {rule.pattern for rule in rules if rule.cache != EVERY_CACHE}
    return [rule for rule in rules if rule.cache != EVERY_CACHE or rule.pattern not in own]


def by_id(store: Store, rule_id: int) -> TtlRule | None:
    """One rule, whichever caches it holds for."""
    if not 0 < rule_id < 2**31:
        return None
    with store.read() as session:
        row = session.get(TtlRuleRow, rule_id)
        return _rule(row) if row else None


def create(store: Store, draft: Draft) -> TtlRule:
    """Add a rule. Raises PatternTaken, TooManyRules."""
    row = TtlRuleRow(built_in=False, created_at=time.time())
    _write(row, draft)
    try:
        with store.write("ttl_rules") as session:
            _check_room(session, draft.cache)
            session.add(row)
            session.flush()
            return _rule(row)
    except IntegrityError:
        raise _taken() from None


def change(store: Store, rule_id: int, draft: Draft) -> TtlRule:
    """Let a rule say something else. Raises UnknownRule, PatternTaken, TooManyRules."""
    try:
        with store.write("ttl_rules") as session:
            row = _existing(session, rule_id)
            if row.cache != draft.cache:
                _check_room(session, draft.cache)
            _write(row, draft)
            session.flush()
            return _rule(row)
    except IntegrityError:
        raise _taken() from None


def remove(store: Store, rule_id: int) -> TtlRule:
    """Take a rule away, a built-in one too; what it was. Raises UnknownRule."""
    with store.write("ttl_rules") as session:
        row = _existing(session, rule_id)
        rule = _rule(row)
        session.delete(row)
        return rule


def _existing(session: Session, rule_id: int) -> TtlRuleRow:
    row = session.get(TtlRuleRow, rule_id) if 0 < rule_id < 2**31 else None
    if row is None:
        raise UnknownRule("There is no such TTL rule (any more).")
    return row


def _check_room(session: Session, cache: str) -> None:
    """Whether one more rule may hold for `cache`; for every cache, the one that has most of its own decides."""
    found = session.execute(select(TtlRuleRow.cache, func.count().label("rules")).group_by(TtlRuleRow.cache))
    counts: dict[str, int] = {row.cache: row.rules for row in found}
    general = counts.pop(EVERY_CACHE, 0)
    own = max(counts.values(), default=0) if cache == EVERY_CACHE else counts.get(cache, 0)
    if general + own >= MOST:
        raise TooManyRules(
            f"A cache has at most {MOST} TTL rules, because every key is held against each of them.",
            "Remove one, or let one pattern cover more.",
        )


def _taken() -> PatternTaken:
    return PatternTaken("There is a rule for this pattern already.", "Change that one.")


def _write(row: TtlRuleRow, draft: Draft) -> None:
    row.cache, row.pattern, row.low, row.high, row.reason = (
        draft.cache,
        draft.pattern,
        draft.low,
        draft.high,
        draft.reason,
    )


def _rule(row: TtlRuleRow) -> TtlRule:
    return TtlRule(row.id, row.cache, row.pattern, row.low, row.high, row.reason, row.built_in)
