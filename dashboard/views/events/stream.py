"""The stream of a console by Server-Sent Events: each message puts rows on the list or draws the meter anew.

A stream takes a thread of the web process, so there is a bound to how many there are. It ends when the page closes,
when the session ends or its role changes, and when the process stops; the page connects again by itself and goes on
where it was (Last-Event-ID).
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from flask import Blueprint, Response, abort, current_app, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.events.buffer import Buffer
from dashboard.cache.events.hearing import Hearing
from dashboard.cache.events.standing import Standing
from dashboard.cache.events.subscription import BadSubscription
from dashboard.stopping import STOPPING
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role
from dashboard.views.access import current_cache, requires
from dashboard.views.deck import deck
from dashboard.views.events import position as event_position
from dashboard.views.events.drawing import Drawing, as_message
from dashboard.views.events.question import asked, drawing
from dashboard.views.events.rows import KeyAddress
from dashboard.views.signed_in import Lease, lease

blueprint = Blueprint("event_stream", __name__, url_prefix="/caches/<cache>/events/stream")

ROWS = 150
"""Of one message, a tenth of a second: a thousand events a second are shown, with some to spare."""
CROWD = 40
"""Of one message where more come: an even selection, and the rest is counted. Nobody reads them, and a browser that
lays out more has no time left for anything else."""
BURST = 400
"""Of one message after a calm: a burst is what somebody wants to read afterwards."""
CALM_SECONDS = 2.0
"""A burst has calm before it; so long, all that came was shown."""
WAIT_SECONDS = 0.5
SESSION_SECONDS = 5.0
"""How often the store is asked whether the session still holds."""
COMMENT_SECONDS = 15.0
"""Where nothing is sent for so long, a comment is: proxies close what is silent."""
SEND_SECONDS = 60
"""A browser that takes nothing for so long is given up."""
SEND_BYTES = 128 * 1024
"""Of the socket's buffer: what a slow browser has not taken yet grows old there."""
LATE_SECONDS = 1.0
"""Who comes so much later than events were told of is slow: what it misses is lost to it, not left out for its good."""

_ROOM = "cachedeck_streams"


@blueprint.get("")
@requires(Role.VIEWER, background=True)
def show(cache: str) -> ResponseReturnValue:
    """Events from where Last-Event-ID (or `from`) says, else all that are kept. 503 where enough consoles are open."""
    current = current_cache()
    try:
        question = asked()
    except BadSubscription as error:
        abort(400, str(error))
    if question.subscription is None:
        abort(400, "Name something to listen to.")
    room = _room()
    if not room.acquire(blocking=False):
        abort(503, f"{deck().settings.streams} consoles are open. Close one, or raise CACHEDECK_STREAMS.")
    base = url_for("key.show", cache=cache, key="k")[:-1]
    with ExitStack() as stack:
        stack.callback(room.release)
        watched = stack.enter_context(deck().hub.watching(current, question.subscription, question.sieve))
        stream = Stream(*watched, _End(lease(), _stopping(), _tuned()), drawing(), lambda token: base + token)
        stream.begin(event_position.read(request.headers.get("Last-Event-ID") or request.args.get("from", "")))
        stream.closing = stack.pop_all()
    response = Response(stream, mimetype="text/event-stream")
    # Nginx would gather it otherwise.
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _End:
    """Why a stream is to end."""

    def __init__(self, lease: Lease, stopping: Callable[[], bool], sock: socket.socket | None) -> None:
        self._lease = lease
        self._asked_at = self._looked_at = time.monotonic()
        self._socket = sock
        self.stopping = stopping

    def signed_out(self) -> bool:
        """Whether the session has ended; what the store cannot tell now is asked again."""
        if time.monotonic() - self._asked_at < SESSION_SECONDS and time.time() < self._lease.ends_at:
            return False
        self._asked_at = time.monotonic()
        with suppress(StoreError):
            return not self._lease.holds()
        return False

    def hung_up(self) -> bool:
        """Whether the browser has closed the connection, as far as that can be seen without sending."""
        if self._socket is None or time.monotonic() - self._looked_at < WAIT_SECONDS:
            return False
        self._looked_at = time.monotonic()
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            return True


@dataclass
class _Counts:
    """Of one stream: events that were put on the list, left out because they were too many, and lost."""

    shown: int = 0
    skipped: int = 0
    lost: int = 0


class Stream:
    """An iterable of messages. `closing` is closed with it, whether it was begun or not."""

    def __init__(self, hearing: Hearing, buffer: Buffer, end: _End, drawing: Drawing, address: KeyAddress) -> None:
        self.closing = ExitStack()
        self._hearing = hearing
        self._buffer = buffer
        self._end = end
        self._drawing = drawing
        self._address = address
        self._counts = _Counts()
        self._after = 0
        self._crowded_at = 0.0
        self._standing: Standing | None = None
        self._told: _Counts | None = None
        self._sent_at = self._took_at = time.monotonic()
        # Not all streams at the same time: that would keep the rows of all of them waiting.
        self._counted_at = time.monotonic() - random.random()  # noqa: S311 (it is no secret)
        self._first: list[bytes] = []
        self._over = False

    def begin(self, position: event_position.Position | None) -> None:
        """Go on where a page stands. What it has missed and cannot be had any more is a gap."""
        buffer, since = self._buffer, self._hearing.standing.begun_at
        self._after = event_position.after(buffer, position)
        self._first.append(b"retry: 1000\n\n")
        if position is None:
            return
        lost = buffer.oldest - 1 - self._after if position.epoch == buffer.epoch else 0
        if lost > 0:
            self._counts.lost += lost
            self._after += lost
            self._first.append(
                self._drawing.message("events/_missed.html", lost=lost, since=position.at, at=time.time())
            )
        elif position.epoch != buffer.epoch and position.at and since > position.at:
            self._first.append(self._drawing.message("events/_unheard.html", since=position.at, at=since))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next message; returns within about half a second of anything that ends it."""
        while not self._over:
            if self._first:
                return self._sent(self._first.pop(0))
            if self._end.stopping() or self._end.hung_up():
                break
            if self._end.signed_out():
                self._over = True
                return as_message("The session has ended.", event="session-ended")
            self._buffer.wait(self._after, WAIT_SECONDS)
            message = self._new() + self._figures()
            if message:
                return self._sent(message)
            if self._buffer.closed:
                break
            if time.monotonic() - self._sent_at > COMMENT_SECONDS:
                return self._sent(b":\n\n")
        raise StopIteration

    def close(self) -> None:
        self.closing.close()

    def _sent(self, message: bytes) -> bytes:
        self._sent_at = time.monotonic()
        return message

    def _new(self) -> bytes:
        """The rows that have come."""
        late = time.monotonic() - self._took_at > LATE_SECONDS + WAIT_SECONDS
        self._took_at = time.monotonic()
        calm = self._took_at - self._crowded_at > CALM_SECONDS
        batch = self._buffer.beat(self._after, BURST if calm else ROWS)
        if batch.skipped or batch.lost:
            self._crowded_at = self._took_at
            batch = batch if calm else self._buffer.beat(self._after, CROWD)
        self._after = batch.upto
        if batch.empty:
            return b""
        counts = self._counts
        counts.shown += len(batch.items)
        counts.skipped += batch.skipped + (0 if late else batch.lost)
        counts.lost += batch.lost if late else 0
        return self._drawing.batch(self._buffer, batch, self._address)

    def _figures(self) -> bytes:
        """The meter, once a second, and what this stream has shown and not shown."""
        message = b""
        standing = self._hearing.standing
        if standing is not self._standing:
            self._standing = standing
            message += self._drawing.meter(standing)
        if time.monotonic() - self._counted_at >= 1 and self._counts != self._told:
            self._told, self._counted_at = replace(self._counts), time.monotonic()
            message += self._drawing.message("events/_counts_message.html", counts=self._told)
        return message


def _tuned() -> socket.socket | None:
    """The browser's connection, if the server tells it, with bounds to what waits in it and for how long."""
    found = request.environ.get("gunicorn.socket")
    if not isinstance(found, socket.socket):
        return None
    with suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    return found


def _stopping() -> Callable[[], bool]:
    found: Callable[[], bool] = current_app.extensions.get(STOPPING, lambda: False)
    return found


def _room() -> threading.Semaphore:
    found = current_app.extensions.setdefault(_ROOM, threading.BoundedSemaphore(deck().settings.streams))
    assert isinstance(found, threading.Semaphore)  # noqa: S101  (narrows the type; nobody else writes it)
    return found
