"""Publish one message to the applications, and listen for some seconds who acknowledges it.

Cachedeck subscribes to the reply channel first, so no acknowledgement is missed, and publishes then. What PUBLISH
answers counts the receivers of the one node that it was sent to: of all of them where the cache has one node, of a part
of a cluster's. https://valkey.io/commands/publish/, https://valkey.io/commands/spublish/
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from dashboard.cache.errors import CacheError, TimedOut, Unreachable
from dashboard.cache.events.ear import Ear
from dashboard.cache.events.subscription import Source, Subscription
from dashboard.cache.listeners.client_list import Client
from dashboard.cache.messages.acknowledging import MOST_KEPT, Ack, Acknowledging, Counted, Silent
from dashboard.cache.messages.audience import Audience, audience
from dashboard.cache.messages.draft import Draft, Prepared
from dashboard.cache.messages.sending import send
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.progress import Progress

LONGEST = 30.0
"""Seconds for which acknowledgements are waited for."""
SNAPSHOT_SECONDS = 0.25
WAKE_SECONDS = 0.05

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
    node = cache.node_of(draft.channel) if draft.sharded else _answering(cache, before)
    with ExitStack() as stack:
        ear = _listening(cache, node, prepared, notes) if prepared.reply else None
        if asked and ear is None:
            notes += [] if prepared.reply else [UNANSWERABLE]
            prepared = draft.prepared(cache.name, asks=False)
        listener = _Listener(ear, Acknowledging(prepared.id, clients)) if ear else None
        if listener is not None:
            stack.callback(listener.close)
        sent = _published(cache, node, draft, prepared, before, listener)
        yield from _awaited(replace(sent, notes=tuple(notes)), listener, seconds)


def _published(
    cache: Cache, node: Node, draft: Draft, prepared: Prepared, before: Audience, listener: _Listener | None
) -> Publication:
    if listener is not None:
        listener.sent_at = time.monotonic()
    try:
        receivers = send(cache, node, draft.channel, prepared.payload, sharded=draft.sharded)
    except (TimedOut, Unreachable) as error:
        raise type(error)(error.sentence, MAYBE) from error
    partial = not draft.sharded and len(cache.primaries()) > 1
    return Publication(Progress(), prepared.id, node.name, receivers, partial, len(prepared.payload), before)


def _awaited(sent: Publication, listener: _Listener | None, seconds: float) -> Iterator[Publication]:
    """The message as it was sent, and what has been heard since, until all have acknowledged or the time is over."""
    if listener is None:
        yield replace(sent, progress=Progress(ended=True, unit="seconds"))
        return
    expected = 0 if sent.partial else sent.receivers - sent.before.own
    told_at, over = 0.0, False
    while not over:
        elapsed = time.monotonic() - listener.sent_at
        over = elapsed >= seconds or listener.complete(expected) or listener.error is not None
        if over or elapsed - told_at >= SNAPSHOT_SECONDS:
            told_at = elapsed
            yield replace(listener.seen(sent), progress=_progress(min(elapsed, seconds), seconds, ended=over))
        time.sleep(0.0 if over else WAKE_SECONDS)
    if listener.error is not None:
        lost = f"Later acknowledgements were not heard: {listener.error.sentence}"
        yield replace(listener.seen(sent), progress=_progress(elapsed, seconds, ended=True), notes=(*sent.notes, lost))


def _progress(elapsed: float, seconds: float, *, ended: bool) -> Progress:
    return Progress(round(elapsed), round(seconds), elapsed, ended=ended, unit="seconds")


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


class _Listener:
    """Takes acknowledgements in a thread of its own, so that each is timed when it comes, whatever is done meanwhile.

    sent_at: when the message was sent, by time.monotonic().
    """

    def __init__(self, ear: Ear, heard: Acknowledging) -> None:
        self.sent_at = time.monotonic()
        self.error: CacheError | None = None
        self._ear = ear
        self._heard = heard
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="acknowledgements", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._ear.close()

    def seen(self, sent: Publication) -> Publication:
        """With what has been heard by now."""
        with self._lock:
            return _with_heard(sent, self._heard)

    def complete(self, expected: int) -> bool:
        """Whether all have acknowledged, and so many at least."""
        with self._lock:
            return self._heard.complete and self._heard.counted.acks >= expected

    def _run(self) -> None:
        try:
            poll = select.poll()
            poll.register(self._ear.fileno(), select.POLLIN)
            while not self._stop.is_set():
                poll.poll(WAKE_SECONDS * 1000)
                if not self._take():  # in a flood, what comes is sign of life enough, and an answer would be late
                    self._ear.ping()
        except CacheError as error:
            self.error = error

    def _take(self) -> bool:
        """Whether anything had come."""
        messages = self._ear.take()
        latency = 1000 * (time.monotonic() - self.sent_at)
        with self._lock:
            for message in messages:
                self._heard.take(message[-1], latency)
        return bool(messages)


def _with_heard(sent: Publication, heard: Acknowledging) -> Publication:
    silent = heard.silent()
    return replace(
        sent,
        acks=tuple(heard.acks),
        counted=heard.counted,
        silent=tuple(silent[:MOST_KEPT]),
        silent_count=None if sent.before.clients is None else len(silent),
    )
