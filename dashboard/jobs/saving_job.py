"""The kind "saving": what a namespace of small strings would take in hashes. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from dashboard.cache.estimate import NOTHING, Estimate
from dashboard.cache.saving.report import SavingSnapshot
from dashboard.cache.saving.run import Options, measure_saving
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import PATTERN_LIMIT
from dashboard.cache.walking.governor import Budget
from dashboard.jobs.kind import Arguments, Kind, Refused, Work

NAME = "saving"
_ESTIMATE = TypeAdapter(Estimate)


def arguments(namespace: str, keys: Estimate) -> dict[str, Any]:
    """What a job of this kind is given: a folded namespace as an analysis names it, and its count of string keys."""
    return {"namespace": namespace, "keys": list(keys)}


def namespace_of(given: Arguments) -> str:
    """The namespace that a job of this kind is about; "" where its arguments do not say."""
    named = given.get("namespace", "")
    return named if isinstance(named, str) else ""


def start(work: Work, given: Arguments) -> Iterator[SavingSnapshot]:
    """Snapshots of the measuring. Raises CacheError, Refused."""
    name = namespace_of(given)
    if not name or len(from_printable(name)) > PATTERN_LIMIT // 2:
        raise Refused("The job does not say which namespace is meant.", "Start it from the Memory screen.")
    settings = work.settings
    options = Options(
        namespace=name,
        separator=settings.namespace_separator.encode(),
        keys=_keys(given),
        budget=Budget(hold_ms=settings.walk_hold_ms, share=settings.walk_share),
    )
    yield from measure_saving(work.cache, options)


def _keys(given: Arguments) -> Estimate:
    try:
        return _ESTIMATE.validate_python(given.get("keys", NOTHING))
    except ValueError:
        return NOTHING


KIND = Kind(
    name=NAME,
    title="Saving by hashes",
    start=start,
    adapter=TypeAdapter(SavingSnapshot),
    subject=lambda given: f"strings of {namespace_of(given)}",
)
