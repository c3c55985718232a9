"""What happens on each primary lately, as far as keyspace notifications would tell of it: from samples alone."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.cache.notifications.cost import Traffic
from dashboard.cache.statistics.commands import calls_grown, stretch
from dashboard.cache.statistics.picture import WINDOW_SECONDS
from dashboard.jobs import latency
from dashboard.jobs.seeing import gather
from dashboard.store import command_samples
from dashboard.store.engine import Store


def traffic(store: Store, cache: str, now: float, period: float) -> tuple[Traffic, ...]:
    """Of every primary that is sampled now, over the last minutes; () where nothing is known. Raises StoreUnavailable.

    period: of the sampler, seconds.
    """
    seen, calls = gather(store, cache, now, period), _calls(store, cache, now)
    found = []
    for span in seen.fresh:
        recent = span.recent
        if recent is None or recent.seconds <= 0:
            return ()
        found.append(
            Traffic(
                span.name,
                recent.per_second("expired_keys"),
                recent.per_second("evicted_keys"),
                recent.per_second("keyspace_misses"),
                recent.gained.get("keys", 0.0) / recent.seconds,
                1 - (span.latest.share_without_ttl or 0.0),
                calls.get(span.name),
            )
        )
    return tuple(found)


def _calls(store: Store, cache: str, now: float) -> dict[str, Mapping[str, float]]:
    """node -> command -> calls a second; nodes of which there are no two samples are left out."""
    taken = command_samples.load(store, cache, now - WINDOW_SECONDS - latency.SECONDS, now)
    found: dict[str, Mapping[str, float]] = {}
    for node, readings in latency.by_node(taken).items():
        seconds = readings[-1].at - readings[0].at
        if seconds > 0:
            grown = calls_grown(stretch(readings[0], readings[-1]))
            found[node] = {name: many / seconds for name, many in grown.items()}
    return found
