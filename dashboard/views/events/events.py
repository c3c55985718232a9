"""The console: what servers publish, as it happens. The page has what is kept already; its stream brings the rest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.events.sieve import Sieve
from dashboard.cache.events.subscription import KINDS, BadSubscription, Kind, Subscription
from dashboard.cache.notifications.flags import missing_flags
from dashboard.jobs import notifying
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.deck import deck
from dashboard.views.events.position import Position
from dashboard.views.events.question import Question, asked, in_words, names
from dashboard.views.events.rows import rows
from dashboard.views.events.standing import shown
from dashboard.views.render import of_cache_error, page

blueprint = Blueprint("events", __name__, url_prefix="/caches/<cache>/events")

SETTLE_SECONDS = 1.0
"""A page waits so long at most to say what cannot be heard; its stream says it later."""
SHOWN = 200
"""Events that a page begins with."""


@dataclass(frozen=True)
class SourceField:
    """A field of the form. common: whether it is there at first sight."""

    kind: Kind
    label: str
    hint: str
    example: str
    common: bool = True


FIELDS = (
    SourceField(
        "channel", "Channels", "Names, as SUBSCRIBE takes them. Several are separated by spaces.", "invalidate"
    ),
    SourceField("pattern", "Patterns of channels", "As PSUBSCRIBE takes them; * is every channel.", "news:*"),
    SourceField("event", "Key events", "What happens to any key: expired, evicted, set, del ...; * is all.", "expired"),
    SourceField(
        "tracking", "Client-side caching", "Prefixes of keys whose copies are to be dropped; * is all.", "api:*"
    ),
    SourceField("key", "Keys", "Patterns of keys to which anything happens.", "sess:*", common=False),
    SourceField(
        "sharded", "Sharded channels", "Names, as SSUBSCRIBE takes them (Redis 7, Valkey).", "orders", common=False
    ),
)
STARTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Invalidations", "What Cachedeck and the demo publish of keys that are invalid.", {"channel": "invalidate"}),
    ("Every channel", "All that is published, whoever publishes it.", {"pattern": "*"}),
    ("Keys that go", "Keys that expire, are evicted or deleted.", {"event": "expired evicted del"}),
    ("Copies to drop", "What client-side caching tells of all keys.", {"tracking": "*"}),
)


@blueprint.get("")
@requires(Role.VIEWER)
def show(cache: str) -> ResponseReturnValue:
    """The console of what the address names; without a name, the form and what to begin with."""
    current_cache()
    try:
        question = asked()
    except BadSubscription as error:
        return _page(Question(None, Sieve()), {}, str(error), 400)
    if question.subscription is None:
        return _page(question, {})
    try:
        return _page(question, _begun(question, question.subscription))
    except CacheError as error:
        return _page(question, {"problem": of_cache_error(error)}, status=503)


def _page(question: Question, begun: dict[str, Any], error: str = "", status: int = 200) -> Response:
    query = question.to_query()
    typed = {kind: request.args.get(kind, "") for kind in KINDS} if error else None
    return page(
        "events/page.html",
        screen="events",
        tab="console",
        status=status,
        fields=[
            (one, typed[one.kind] if typed else " ".join(names(question.subscription, one.kind))) for one in FIELDS
        ],
        starts=STARTS,
        question=question,
        query=query,
        error=error,
        words=in_words(question.subscription),
        **{"meter": None, "rows": [], "stream": "", "problem": None, "off": "", **begun},
    )


def _begun(question: Question, subscription: Subscription) -> dict[str, Any]:
    """Listen, and what is to be shown of it. Raises CacheError."""
    cache = current_cache()
    with deck().hub.watching(cache, subscription, question.sieve) as (hearing, buffer):
        hearing.settled(SETTLE_SECONDS)
        batch = buffer.batch(buffer.oldest - 1, SHOWN)
        standing = hearing.standing
    position = Position(buffer.epoch, batch.upto, time.time())
    return {
        "rows": rows(batch.items, lambda token: url_for("key.show", cache=cache.name, key=token)),
        "meter": shown(standing),
        "stream": _stream(cache.name, {**question.to_query(), "from": str(position)}),
        "off": _off(subscription),
    }


def _stream(cache: str, query: dict[str, Any]) -> str:
    return url_for("event_stream.show", cache=cache, **query)


def _off(subscription: Subscription) -> str:
    """The flags of notify-keyspace-events that this would need and that are off; "" where none are, or nobody knows."""
    if not subscription.notified:
        return ""
    try:
        told = notifying.flags_of(current_cache())
    except CacheError:
        return ""
    return missing_flags(told, subscription) if told else ""
