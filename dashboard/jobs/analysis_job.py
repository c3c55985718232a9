"""The kind "analysis": what is in a keyspace, when it expires and what it costs. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from dashboard.cache.analysis.report import Snapshot
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.selecting.words import in_words
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.watch import Limits
from dashboard.jobs.kind import Arguments, Kind, Refused, Work
from dashboard.store import ttl_rules
from dashboard.store.engine import Store

NAME = "analysis"
LEAST_SHARE = 0.05


def arguments(selection: Selection, share: float, replicas: bool = False) -> dict[str, Any]:
    """What a job of this kind is given. share: of each server's time, 0.05 to 1; replicas: ask them where possible."""
    return {"selection": selection.to_query(), "share": share, "replicas": replicas}


def selection_of(given: Arguments) -> Selection:
    """Which keys a job of this kind is about. Raises BadSelection for what an older version understood otherwise."""
    return from_query(given.get("selection", {}))


def start(work: Work, given: Arguments) -> Iterator[Snapshot]:
    """Snapshots of the analysis. Raises CacheError (Strained where it ends by itself), Refused."""
    try:
        selection = selection_of(given)
    except BadSelection as error:
        raise Refused(str(error), "Start a new analysis.") from error
    yield from analyze(work.cache, selection, _options(work, given))


def _options(work: Work, given: Arguments) -> Options:
    settings = work.settings
    share = float(given.get("share", settings.walk_share))
    return Options(
        budget=Budget(hold_ms=settings.walk_hold_ms, share=min(max(share, LEAST_SHARE), 1.0)),
        separator=settings.namespace_separator.encode(),
        rules=_rules(work.store, work.cache.name),
        replicas=bool(given.get("replicas", False)),
        limits=Limits(settings.walk_latency_ms, settings.walk_memory_mb * 1024 * 1024),
    )


def _rules(store: Store, cache: str) -> tuple[Rule, ...]:
    """The TTL rules that the keys are held against, as they are when the analysis begins."""
    rules = ttl_rules.for_cache(store, cache)
    return tuple(Rule(rule.pattern, rule.low, rule.high, rule.reason, rule.id) for rule in rules)


def _subject(given: Arguments) -> str:
    try:
        return in_words(selection_of(given))
    except BadSelection:
        return "keys that this version of Cachedeck cannot select"


def _counts(snapshot: Snapshot) -> dict[str, int]:
    return {"keys": round(snapshot.report.keys.value)}


KIND = Kind(name=NAME, title="Analysis", start=start, adapter=TypeAdapter(Snapshot), subject=_subject, counts=_counts)
