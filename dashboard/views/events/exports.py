"""Exports of events: all that is kept of what a console shows, as a file of JSON lines (event_lines.py)."""

from __future__ import annotations

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from dashboard.cache.events.buffer import KEPT, Batch
from dashboard.cache.events.event import Gap
from dashboard.cache.events.subscription import BadSubscription, Subscription
from dashboard.cache.notifications.event_lines import of_end, of_item
from dashboard.store.operators import Role
from dashboard.views.access import change, current_cache, reason, requires
from dashboard.views.deck import deck
from dashboard.views.events.question import Question, asked, in_words
from dashboard.views.keys.exports import file_name

blueprint = Blueprint("event_exports", __name__, url_prefix="/caches/<cache>/events/exports")


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Send what is kept of the subscription and filter that the form names, as its console's address does; 400 where it
    names none. It is audited without what was told."""
    try:
        question = asked()
    except BadSubscription as error:
        abort(400, str(error))
    if question.subscription is None:
        abort(400, "Name something to listen to.")
    with change("events.export", in_words(question.subscription), question.to_query(), reason()) as attempt:
        batch = _kept(question, question.subscription)
        gaps = sum(isinstance(item, Gap) for _, item in batch.items)
        events = len(batch.items) - gaps
        lines = [*(of_item(item) for _, item in batch.items), of_end(events, gaps, batch.upto)]
        attempt.done(after={"events": events, "gaps": gaps, "not_kept": batch.lost})
    response = Response("".join(lines).encode("utf-8", "backslashreplace"), mimetype="application/x-ndjson")
    response.headers["Content-Disposition"] = f'attachment; filename="cachedeck-{file_name(cache)}-events.jsonl"'
    return response


def _kept(question: Question, subscription: Subscription) -> Batch:
    """All of it, and how much there was before it. Raises CacheError where no more can be listened to."""
    with deck().hub.watching(current_cache(), subscription, question.sieve) as (_, buffer):
        return buffer.batch(0, KEPT)
