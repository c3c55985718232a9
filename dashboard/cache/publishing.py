"""Publish one message to the applications, and listen for some seconds who acknowledges it.

Cachedeck subscribes to the reply channel first, so no acknowledgement is missed, and publishes then. What PUBLISH
answers counts the receivers of the one node that it was sent to: of all of them where the cache has one node, of a part
of a cluster's. https://valkey.io/commands/publish/, https://valkey.io/commands/spublish/
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from dashboard.cache.acknowledging import MOST_KEPT, Ack, Acknowledging, Counted, Silent
from dashboard.cache.audience import Audience, audience
from dashboard.cache.client_list import Client
from dashboard.cache.connect import Cache, Node
from dashboard.cache.errors import CacheError, TimedOut, Unreachable
from dashboard.cache.events.ear import Ear
from dashboard.cache.events.subscription import Source, Subscription
from dashboard.cache.message_draft import Draft, Prepared
from dashboard.cache.progress import Progress
from dashboard.cache.sending import send

LONGEST = 30.0
"""Seconds for which acknowledgements are waited for."""
SNAPSHOT_SECONDS = 0.25

MAYBE = "The message may have been published all the same."
UNANSWERABLE = "This message cannot be acknowledged: it is no JSON object that names itself."


@dataclass(frozen=True)
class Publication:
    """What became of a message; never the message itself.

    id: of the message, "" where no acknowledgement was asked for. node: to which it was sent. receivers: that it
    reported. before: who could hear it, just before. acks: those that are told one by one; counted: all of them.
    silent: subscribed clients that did not acknowledge, at most MOST_KEPT; silent_count: all of them, None where the
    clients are not known. partial: whether `receivers` are those of one node of a cluster only. bytes: of the payload.
    """

    progress: Progress
    id: str
    node: str
    receivers: int
    partial: bool
    bytes: int
    before: Audience
    acks: tuple[Ack, ...] = ()
    counted: Counted = field(default_factory=Counted)
    silent: tuple[Silent, ...] = ()
    silent_count: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def slowest_ms(self) -> float | None:
        return max((one.latency_ms for one in self.acks), default=None)


def publish(cache: Cache, draft: Draft, seconds: float) -> Iterator[Publication]:
    """Snapshots, the first when it is published. seconds: how long to listen at most, 0 for not at all.

    It ends as soon as all have acknowledged that are known to have received it. Raises CacheError where it was not
    published; what goes wrong later is told in `notes`.
    """
    cache.require_writable()
    asked, notes = 0.0 < seconds <= LONGEST, list[str]()
    before, clients = _before(cache, draft, notes)
    prepared = draft.prepared(cache.name, asks=asked)
    with ExitStack() as stack:
        node = cache.node_of(draft.channel) if draft.sharded else _answering(cache, before)
        ear = _listening(cache, node, prepared, notes) if prepared.reply else None
        if ear is not None:
            stack.enter_context(closing(ear))
        elif asked:
            notes += [] if prepared.reply else [UNANSWERABLE]
            prepared = draft.prepared(cache.name, asks=False)
        sent_at = time.monotonic()
        receivers = _sent(cache, node, draft, prepared)
        partial = not draft.sharded and len(cache.primaries()) > 1
        expected = 0 if partial else receivers - before.own
        waiting = _Waiting(ear, sent_at, seconds if ear else 0.0, Acknowledging(prepared.id, clients), expected)
        for progress in waiting.rounds(notes):
            sent = Publication(progress, prepared.id, node.name, receivers, partial, len(prepared.payload), before)
            yield _with_heard(sent, waiting.heard, notes)


def _before(cache: Cache, draft: Draft, notes: list[str]) -> tuple[Audience, tuple[Client, ...]]:
    try:
        return audience(cache, draft.channel, sharded=draft.sharded)
    except CacheError as error:
        notes.append(f"Who could hear it is not known: {error.sentence}")
        return Audience(sharded=draft.sharded), ()


def _answering(cache: Cache, before: Audience) -> Node:
    """Any node of a cluster passes a message on to all others; one that has just answered is asked to."""
    silent = {one.node for one in before.nodes if one.subscribers is None and one.patterns is None}
    nodes = cache.primaries()
    return next((node for node in nodes if node.name not in silent), nodes[0])


def _listening(cache: Cache, node: Node, prepared: Prepared, notes: list[str]) -> Ear | None:
    channel = prepared.reply.encode("utf-8", "surrogatepass")
    try:
        return Ear(cache, node, Subscription((Source("channel", channel),)))
    except CacheError as error:
        notes.append(
            f"Acknowledgements cannot be heard, so none was asked for. {error.sentence} {error.advice}".strip()
        )
        return None


def _sent(cache: Cache, node: Node, draft: Draft, prepared: Prepared) -> int:
    try:
        return send(cache, node, draft.channel, prepared.payload, sharded=draft.sharded)
    except (TimedOut, Unreachable) as error:
        raise type(error)(error.sentence, MAYBE) from error


@dataclass
class _Waiting:
    """Listens until all have acknowledged, and `expected` at least, or until `seconds` after the message was sent."""

    ear: Ear | None
    sent_at: float
    seconds: float
    heard: Acknowledging
    expected: int

    def rounds(self, notes: list[str]) -> Iterator[Progress]:
        """How far it is, several times a second, and at the end."""
        if self.ear is not None:
            try:
                yield from self._listen(self.ear)
            except CacheError as error:
                notes.append(f"Later acknowledgements were not heard: {error.sentence}")
        yield self._progress(ended=True)

    def _listen(self, ear: Ear) -> Iterator[Progress]:
        poll = select.poll()
        poll.register(ear.fileno(), select.POLLIN)
        told_at = -SNAPSHOT_SECONDS
        while (left := self.sent_at + self.seconds - time.monotonic()) > 0:
            if time.monotonic() - told_at >= SNAPSHOT_SECONDS:
                told_at = time.monotonic()
                yield self._progress(ended=False)
            poll.poll(min(left, SNAPSHOT_SECONDS) * 1000)
            self._take(ear.take())
            if self.heard.complete and self.heard.counted.acks >= self.expected:
                return
            ear.ping()
        self._take(ear.take())

    def _take(self, messages: list[list[Any]]) -> None:
        latency = 1000 * (time.monotonic() - self.sent_at)
        for message in messages:
            self.heard.take(message[-1], latency)

    def _progress(self, *, ended: bool) -> Progress:
        elapsed = min(max(time.monotonic() - self.sent_at, 0.0), self.seconds)
        return Progress(round(elapsed), round(self.seconds), elapsed, ended=ended, unit="seconds")


def _with_heard(sent: Publication, heard: Acknowledging, notes: list[str]) -> Publication:
    silent = heard.silent() if sent.id else []
    return replace(
        sent,
        acks=tuple(heard.acks),
        counted=heard.counted,
        silent=tuple(silent[:MOST_KEPT]),
        silent_count=len(silent) if sent.id and sent.before.clients is not None else None,
        notes=tuple(notes),
    )
