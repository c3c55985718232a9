"""What a page or a stream of events asks for, read from its address, and what draws it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, request

from dashboard.cache.events.sieve import Sieve, sieve_of
from dashboard.cache.events.subscription import KINDS, Kind, Subscription, from_pairs
from dashboard.views.events.drawing import Drawing
from dashboard.views.events.rows import KIND_WORDS

_DRAWING = "cachedeck_drawing"


@dataclass(frozen=True)
class Question:
    """subscription: None where nothing is named yet."""

    subscription: Subscription | None
    sieve: Sieve

    def to_query(self) -> dict[str, str]:
        """Query parameters: the names of a kind in one."""
        found = {kind: " ".join(names(self.subscription, kind)) for kind in KINDS}
        return {**{kind: text for kind, text in found.items() if text}, **self.sieve.to_query()}


def asked() -> Question:
    """Raises BadSubscription."""
    pairs = [(kind, text) for kind in KINDS for text in request.values.getlist(kind) if text.strip()]
    sieve = sieve_of(request.values.get("text", ""), request.values.get("in", ""))
    return Question(from_pairs(pairs) if pairs else None, sieve)


def names(subscription: Subscription | None, kind: Kind) -> list[str]:
    """Those of one kind, as they are typed."""
    return [one.printable for one in subscription.sources if one.kind == kind] if subscription else []


def in_words(subscription: Subscription | None) -> str:
    """What is listened to, in a few words."""
    if subscription is None:
        return ""
    parts = [f"{KIND_WORDS[one.kind]} {one.printable}" for one in subscription.sources[:3]]
    more = len(subscription.sources) - len(parts)
    return ", ".join(parts) + (f" and {more} more" if more else "")


def drawing() -> Drawing:
    """That of the current application."""
    found = current_app.extensions.setdefault(_DRAWING, Drawing(current_app.jinja_env))
    assert isinstance(found, Drawing)  # noqa: S101  (narrows the type; nobody else writes it)
    return found
