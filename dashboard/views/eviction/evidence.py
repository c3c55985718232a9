"""What is known of the keys that are evicted, for the Eviction screen: how old they are, and what can never go.

Drawing keys costs the server something, so one look serves everybody for five minutes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flask import Blueprint, current_app, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.eviction import words as eviction_words
from dashboard.cache.eviction.age import BESIDE_SECONDS, eviction_age
from dashboard.cache.eviction.figures import EvictionAge, NodeAge, Quantiles
from dashboard.cache.servers.connect import Cache
from dashboard.cache.tuning.evidence import Evidence, unexpiring
from dashboard.cache.wording import duration, percent
from dashboard.jobs.seeing import evidence, gather
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.deck import deck
from dashboard.views.kept_looks import KeptLooks
from dashboard.views.render import Problem, fragment, of_cache_error, page, wants_fragment

blueprint = Blueprint("eviction_evidence", __name__, url_prefix="/caches/<cache>/eviction")

FRESH_SECONDS = BESIDE_SECONDS

_EXTENSION = "cachedeck_eviction_ages"
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One primary's evicted keys. first: the figure that says how old they are, under LFU how little used; None where
    nothing is told. in_seconds: whether it is a time. sentence: what there is to say, or why there are no figures."""

    age: NodeAge
    first: Quantiles | None
    in_seconds: bool
    sentence: str


@blueprint.get("/evidence")
@requires(Role.VIEWER, background=True)
def show(cache: str) -> ResponseReturnValue:
    """What is known of the keys that are evicted: a fragment of the Eviction screen, and a page without scripts."""
    context = evidence_context(current_cache())
    if wants_fragment():
        return fragment("eviction/_evidence.html", **context)
    return page("eviction/evidence.html", screen="eviction", tab="pressure", **context)


def evidence_context(cache: Cache) -> dict[str, Any]:
    """What templates/eviction/_evidence.html draws. A part that cannot be known is None, and its problem says why.

    Up to about 50 round trips a primary, once in FRESH_SECONDS for all who ask.
    """
    look, age_problem = _kept(lambda: _ages().latest(cache, _look, FRESH_SECONDS))
    seen, seen_problem = _kept(lambda: evidence(deck().store, cache.name, deck().settings.sample_seconds))
    age = look if isinstance(look, EvictionAge) else None
    if isinstance(look, CacheError):
        age_problem = of_cache_error(look)
    up = _kept(lambda: _uptimes(cache.name))[0] or {}
    return {
        "age": age,
        "age_problem": age_problem,
        "rows": [row_of(one, up.get(one.node)) for one in age.nodes] if age else [],
        "bases": _bases(age.nodes) if age else [],
        "evicting": _evicting(seen) if seen else None,
        "seen_problem": seen_problem,
        "never": _never(seen) if seen else "",
        "here": url_for("eviction_evidence.show", cache=cache.name),
    }


def row_of(age: NodeAge, up: float | None = None) -> Row:
    """One primary's figures with their words. up: seconds that it has run, where that is known."""
    lfu = age.policy.endswith("-lfu")
    first = age.frequency if lfu else age.idle
    said = _sentence(age, first, lfu)
    if age.told and first is not None and not lfu and up is not None and first.p50.value > up:
        # Both policies keep what they count in the same 24 bits of a key: read as the other, they are any time at all.
        said += (
            f" That is longer than the server has run ({duration(up)}): such times are left of an LFU policy, or came"
            " with a snapshot. They say nothing of use, and the server evicts by them until these keys are used again."
        )
    return Row(age, first, not lfu, said)


def _uptimes(cache: str) -> dict[str, float]:
    """node -> seconds since it was started, of those that are sampled and tell it. Raises StoreUnavailable."""
    seen = gather(deck().store, cache, time.time(), deck().settings.sample_seconds)
    found = {one.name: one.latest.get("uptime_in_seconds") for one in seen.spans}
    return {name: seconds for name, seconds in found.items() if seconds}


def _sentence(age: NodeAge, first: Quantiles | None, lfu: bool) -> str:
    """'Half of the keys that go first had not been used for 3 min 2 s or longer, ...', or why nothing is told."""
    if not age.told:
        return age.problem
    parts = []
    if first is not None and lfu:
        counter = f"{first.p50.value:.0f} or less (of 255; LFU keeps no idle time)"
        parts.append(f"half of the keys that go first have a use counter of {counter}")
    elif first is not None:
        parts.append(f"half of the keys that go first had not been used for {duration(first.p50.value)} or longer")
    if age.ttl is not None:
        which = "them" if age.with_ttl.value == 1 else f"the {percent(age.with_ttl.value)} that have a TTL"
        parts.append(f"half of {which} had {duration(age.ttl.p50.value)} or more left to live")
    elif not age.with_ttl.value:
        parts.append("none of them has a TTL")
    words = ", and ".join(parts)
    return f"{words[:1].upper()}{words[1:]}."


def _bases(ages: Sequence[NodeAge]) -> list[str]:
    """What the figures are estimated from, once for all primaries with the same policy and samples."""
    alike: dict[tuple[str, int, bool], NodeAge] = {}
    for age in ages:
        if age.told:
            kind = (age.policy, age.samples, age.samples_told)
            sum_so_far = alike.get(kind)
            alike[kind] = _together(sum_so_far, age) if sum_so_far else age
    return [eviction_words.basis(one) for one in alike.values()]


def _together(one: NodeAge, other: NodeAge) -> NodeAge:
    return replace(one, drawn=one.drawn + other.drawn, fit=one.fit + other.fit, first=one.first + other.first)


def _evicting(seen: Evidence) -> float | None:
    """Evictions a second lately; None where that is not known."""
    recent = seen.picture.recent
    return recent.per_second("evicted_keys") if recent else None


def _never(seen: Evidence) -> str:
    """'31 % of memory (20 MB) has no TTL and is never evicted under volatile-lru.'; "" where nothing is to be said."""
    policies = sorted({one.policy for one in seen.picture.fresh})
    found = unexpiring(seen)
    if found is None or not policies or not all(one.startswith("volatile-") for one in policies):
        return ""
    if not found.share:
        return "Every key has a TTL, so every key can be evicted."
    return f"{found.begins} no TTL and can never be evicted under {' and '.join(policies)}."


def _look(cache: Cache) -> EvictionAge | CacheError:
    """A cache that cannot be asked is a finding that is kept like another: not everybody is to wait for it."""
    try:
        return eviction_age(cache, beside=True)
    except CacheError as error:
        return error


def _kept(find: Callable[[], T]) -> tuple[T | None, Problem | None]:
    try:
        return find(), None
    except StoreError as error:
        return None, Problem(error.sentence, error.advice)
    except Exception:  # noqa: BLE001 (whatever it is, it is logged, and the other blocks of the page stand)
        _log.exception("the evidence of eviction cannot be drawn")
        return None, Problem("This part of the page cannot be drawn.", "The log of the web process says why.")


def _ages() -> KeptLooks[EvictionAge | CacheError]:
    """Those of the current application."""
    found = current_app.extensions.setdefault(_EXTENSION, KeptLooks[EvictionAge | CacheError]())
    assert isinstance(found, KeptLooks)  # noqa: S101  (narrows the type; nobody else writes it)
    return found
