"""A watch for stampedes as its page draws it: alerts with their remedies, and the tables of what is missed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import url_for

from dashboard.cache.notifications.cost import in_words
from dashboard.cache.notifications.primary_listener import gap_in_words
from dashboard.cache.selecting.fold import pattern_of
from dashboard.cache.selecting.key_token import from_printable, printable, to_token
from dashboard.cache.stampedes import words as stampede_words
from dashboard.cache.stampedes.report import AbsentKey, Alert, MissedKey, MissedNamespace, Name, Stampedes
from dashboard.cache.stampedes.run import Watch
from dashboard.cache.stampedes.words import Remedy
from dashboard.store.jobs import Job

SHOWN_ALERTS = 50


@dataclass(frozen=True)
class AlertLine:
    """href: of the key, "" where its name is too long to be kept. at: epoch seconds of the latest. remedies: each with
    the address of where it is done, "" for none."""

    alert: Alert
    happened: str
    evidence: str
    again: str
    at: float
    href: str
    remedies: tuple[tuple[Remedy, str], ...]


@dataclass(frozen=True)
class KeyLine:
    key: MissedKey
    href: str
    share: float


@dataclass(frozen=True)
class NamespaceLine:
    row: MissedNamespace
    href: str
    rate: float
    share: float


@dataclass(frozen=True)
class AbsentLine:
    key: AbsentKey
    href: str
    said: str


def figures(job: Job, watch: Watch) -> dict[str, Any]:
    """The context of stampedes/_watch.html."""
    found, elapsed = watch.found, max(watch.progress.elapsed, 0.001)
    spent = stampede_words.spent(watch.events, watch.bytes, watch.progress.elapsed)
    p99 = {row.name: row.p99 for row in found.namespaces}
    return {
        "watch": watch,
        "answer": stampede_words.answer(found, ended=not job.open),
        "alerts": [_alert(one, watch.begun_at, p99, job.cache) for one in found.alerts[:SHOWN_ALERTS]],
        "keys": [KeyLine(one, _key(one.key, job.cache), _share(one.count, found)) for one in found.keys],
        "namespaces": [
            NamespaceLine(one, _keys_of(one.name, job.cache), one.misses / elapsed, _share(one.misses, found))
            for one in found.namespaces
        ],
        "absent": [AbsentLine(one, _key(one.key, job.cache), stampede_words.absent(one)) for one in found.absent],
        "rate": found.misses / elapsed,
        "unheard": stampede_words.unheard(watch.unheard, watch.counted, gaps=bool(watch.gaps)),
        "gaps": [gap_in_words(one) for one in watch.gaps],
        "left_out": stampede_words.left_out(found),
        "held": stampede_words.held(found),
        "spent": in_words(spent) if spent else "",
        "core_share": spent.share if spent else None,
        "own_cost": stampede_words.own_cost(watch.events, watch.cpu, elapsed),
    }


def _alert(one: Alert, begun: float, p99: Mapping[str, float | None], cache: str) -> AlertLine:
    said = stampede_words.remedies(one, p99.get(one.namespace))
    return AlertLine(
        one,
        stampede_words.happened(one.latest),
        stampede_words.evidence(one.latest),
        stampede_words.again(one),
        begun + one.latest.at,
        _key(one.key, cache),
        tuple((remedy, _where(remedy, one, cache)) for remedy in said),
    )


def _where(remedy: Remedy, one: Alert, cache: str) -> str:
    pattern = printable(pattern_of(from_printable(one.namespace)))
    if remedy.where == "retiming":
        return url_for("retimings.new", cache=cache, pattern=pattern)
    if remedy.where == "invalidation":
        return url_for("invalidations.index", cache=cache, pattern=pattern)
    return url_for("eviction.show", cache=cache) if remedy.where == "eviction" else ""


def _key(name: Name, cache: str) -> str:
    return "" if name.cut else url_for("key.show", cache=cache, key=to_token(from_printable(name.text)))


def _keys_of(namespace: str, cache: str) -> str:
    return url_for("keys.index", cache=cache, pattern=printable(pattern_of(from_printable(namespace))))


def _share(count: int, found: Stampedes) -> float:
    return count / found.misses if found.misses else 0.0
