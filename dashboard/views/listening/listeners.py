"""Who listens to a cache: clients with copies of keys, subscribers, and how near the server is to dropping them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.events.subscription import PREFIXES, BadSubscription, Kind, Source
from dashboard.cache.listeners.listeners import NodeListeners
from dashboard.cache.listeners.risk import answer
from dashboard.cache.messages.channels import Channel
from dashboard.cache.selecting.key_token import printable
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.listening.listener_looks import Seen, looks
from dashboard.views.render import fragment, of_cache_error, page, wants_fragment

blueprint = Blueprint("listeners", __name__, url_prefix="/caches/<cache>/listeners")

SHOWN = 200
"""Clients that are drawn, and channels: those that matter most."""
KINDS: dict[str, str] = {"": "All", "tracking": "Tracking keys", "pubsub": "Listening to channels"}
LEAST_POLL = 3


@dataclass(frozen=True)
class ChannelRow:
    """A channel as it is drawn. query: of the console, {} where it cannot be listened to from there."""

    channel: Channel
    name: str
    query: dict[str, str]


@blueprint.get("")
@requires(Role.OPERATOR)
def index(cache: str) -> ResponseReturnValue:
    """The clients and channels of now; as a fragment, what changes. `show`: one kind of clients. `replicas`: theirs,
    too."""
    context = _context()
    if wants_fragment():
        return fragment("listeners/_live.html", again=True, **context)
    return page("listeners/page.html", screen="events", tab="listeners", **context)


def _context() -> dict[str, Any]:
    cache = current_cache()
    replicas = request.args.get("replicas") == "yes"
    show = request.args.get("show", "")
    show = show if show in KINDS else ""
    query: dict[str, Any] = {"show": show or None, "replicas": "yes" if replicas else None}
    context: dict[str, Any] = {
        "kinds": KINDS,
        "show": show,
        "replicas": replicas,
        "seen": None,
        "problem": None,
        "every": LEAST_POLL,
        "answer": "The servers are being asked.",
        "here": url_for("listeners.index", cache=cache.name, **query),
    }
    try:
        seen = looks().seen(cache, replicas=replicas)
    except CacheError as error:
        return context | {"problem": of_cache_error(error), "answer": "Who listens cannot be told now."}
    return context if seen is None else context | _of(seen, show)


def _of(seen: Seen, show: str) -> dict[str, Any]:
    primaries = [one for one in seen.found.nodes if not one.is_replica]
    chosen = [one for one in seen.clients if not show or (one.tracks if show == "tracking" else one.client.subscribed)]
    tracking, pubsub = counts(seen.found.nodes)
    db = current_cache().target.db
    return {
        "seen": seen,
        "every": max(LEAST_POLL, math.ceil(seen.every)),
        "answer": answer(tracking, pubsub, seen.clients),
        "tracking": tracking,
        "pubsub": pubsub,
        "broadcasting": sum("B" in one.client.flags for one in seen.clients),
        "broken": sum("R" in one.client.flags for one in seen.clients),
        "monitors": sum("O" in one.client.flags for one in seen.clients),
        "ours": sum(one.ours for one in seen.clients),
        "worst": next((one for one in seen.clients if not one.ours and one.share is not None), None),
        "table": _sum([one.table for one in primaries]),
        "table_most": _sum([one.table_most for one in primaries]),
        "dropped": _sum([one.dropped for one in seen.found.nodes]),
        "assumed": [one.node for one in seen.found.nodes if one.limits is None],
        "chosen": chosen[:SHOWN],
        "amount": len(chosen),
        "several": len(seen.found.nodes) > 1,
        "channels": [channel_row(one, db) for one in seen.channels.shown],
    }


def counts(nodes: Sequence[NodeListeners]) -> tuple[int | None, int | None]:
    """(clients that track keys, clients in Pub/Sub mode), of all nodes: by their lists, where they are told, else by
    INFO; None where neither is."""

    def of(told: int | None, listed: int, node: NodeListeners) -> int | None:
        return listed if node.listed else told

    tracking = [of(one.tracking, sum("t" in client.flags for client in one.clients), one) for one in nodes]
    pubsub = [of(one.pubsub, sum(client.subscribed for client in one.clients), one) for one in nodes]
    return _sum(tracking), _sum(pubsub)


def channel_row(channel: Channel, db: int) -> ChannelRow:
    """db: the database of the cache's URL: notifications of another are listened to as channels."""
    kind: Kind = "sharded" if channel.sharded else "channel"
    name = channel.name
    prefix = b"%b%d__:" % (PREFIXES["event"], db)
    if not channel.sharded and name.startswith(prefix) and len(name) > len(prefix):
        kind, name = "event", name.removeprefix(prefix)
    try:
        query = {str(kind): Source(kind, name).printable}
    except BadSubscription:
        query = {}
    return ChannelRow(channel, printable(channel.name), query)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [one for one in counts if one is not None]
    return sum(known) if known and len(known) == len(counts) else None
