"""Drawing for streams: each batch of events and each look at the meter is drawn once, however many pages show it.

Streams outlive their request, so nothing here asks Flask for one: addresses are made beforehand.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from jinja2 import Environment

from dashboard.cache.events.buffer import Batch, Buffer
from dashboard.cache.events.standing import Standing
from dashboard.views.events.rows import KeyAddress, rows
from dashboard.views.events.standing import shown

REMEMBERED = 64
"""Messages: of some subscriptions with their last beats (BEATS of cache/events/buffer.py)."""


class Drawing:
    """Of one application; thread-safe. While one thread draws, those that want the same wait for it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        # The objects are kept with what was drawn of them, so that their ids cannot be given to others.
        self._drawn: OrderedDict[int, tuple[object, bytes]] = OrderedDict()

    def batch(self, buffer: Buffer, batch: Batch, address: KeyAddress) -> bytes:
        """The message that puts a batch on top of the list, with its id for Last-Event-ID."""
        name = event_id(buffer, batch)
        return self._once(batch, "events/_batch.html", name, lambda: {"rows": rows(batch.items, address)})

    def meter(self, standing: Standing) -> bytes:
        """The message that draws how a hearing stands."""
        return self._once(standing, "events/_meter_message.html", "", lambda: {"meter": shown(standing)})

    def message(self, template: str, name: str = "", **context: Any) -> bytes:
        """A server-sent event whose data is a template's markup; name: its id."""
        return as_message(self._environment.get_template(template).render(context), name)

    def _once(self, what: object, template: str, name: str, context: Any) -> bytes:
        known = self._drawn.get(id(what))
        if known is not None and known[0] is what:
            return known[1]
        with self._lock:
            known = self._drawn.get(id(what))
            if known is None:
                known = self._drawn[id(what)] = (what, self.message(template, name, **context()))
                if len(self._drawn) > REMEMBERED:
                    self._drawn.popitem(last=False)
            return known[1]


def event_id(buffer: Buffer, batch: Batch) -> str:
    """epoch.number.milliseconds: where a stream is, in which numbering, and when, for a page that comes back later."""
    at = int(batch.items[-1][1].at * 1000) if batch.items else 0
    return f"{buffer.epoch}.{batch.upto}.{at}"


def as_message(markup: str, name: str = "", event: str = "") -> bytes:
    """One message of a stream. https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""
    # A carriage return ends a line of a stream; in markup its reference means the same.
    lines = markup.replace("\r", "&#13;").split("\n")
    head = [f"event: {event}"] if event else []
    head += [f"id: {name}"] if name else []
    return "\n".join([*head, *(f"data: {line}" for line in lines), "", ""]).encode()
