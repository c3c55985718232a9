"""Telling the applications: what is published with an invalidation, so that they drop copies of their own.

What the messages look like is told_form.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dashboard.cache.bytes_json import text_or_base64
from dashboard.cache.errors import CacheError, translate
from dashboard.cache.invalidation.task import Task, Tell
from dashboard.cache.messages.sending import send
from dashboard.cache.messages.told_form import BATCH, message, names
from dashboard.cache.servers.connect import Cache, Node


class Telling:
    """Publishes on behalf of one invalidation. `messages`, `receivers`: so far; `problem`: why one was not sent."""

    def __init__(self, cache: Cache, task: Task, number: int) -> None:
        self._cache = cache
        self._task = task
        self._number = number
        self.messages = 0
        self.receivers = 0
        self.problem = ""

    def begin(self) -> None:
        """Say that it begins: whoever may not publish to this channel learns it before anything is removed.

        One round trip. Raises CacheError.
        """
        tell = self._task.tell
        if tell is None:
            return
        send(self._cache, self._cache.primaries()[0], tell.channel, self._message("begin", **self._selection()))

    def keys(self, node: Node, keys: Sequence[bytes]) -> None:
        """Say which keys were invalidated, as the task wants. One round trip; what goes wrong is told in `problem`."""
        tell = self._task.tell
        if tell is not None and keys and tell.per != "pattern":
            self._publish(node, [self._message("keys", keys=names(part)) for part in _parts(tell, keys)])

    def end(self) -> None:
        """Say which selection was invalidated, where that is what the task wants."""
        tell = self._task.tell
        if tell is not None and tell.per == "pattern":
            try:
                self._publish(self._cache.primaries()[0], [self._message("selection", **self._selection())])
            except CacheError as error:
                self.problem = error.sentence

    def _selection(self) -> dict[str, Any]:
        selection = self._task.selection
        if selection.keys is not None:
            return {"keys": names(selection.keys[:BATCH]), "count": len(selection.keys)}
        filters = {"type": selection.type, "ttl": selection.ttl, "size": selection.size}
        return {
            "pattern": text_or_base64(selection.pattern),
            "filters": {name: text for name, text in filters.items() if text},
        }

    def _message(self, kind: str, **more: Any) -> bytes:
        return message(kind, self._cache.name, invalidation=self._number, **more)

    def _publish(self, node: Node, messages: Sequence[bytes]) -> None:
        assert self._task.tell is not None  # noqa: S101  (its callers have looked)
        channel = self._task.tell.channel
        try:
            replies = self._cache.pipeline(node, [("PUBLISH", channel, message) for message in messages])
        except CacheError as error:
            self.problem = error.sentence
            return
        for reply in replies:
            if isinstance(reply, Exception):
                self.problem = (reply if isinstance(reply, CacheError) else translate(reply, self._cache.name)).sentence
            else:
                self.messages += 1
                self.receivers += int(reply)


def _parts(tell: Tell, keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    size = 1 if tell.per == "key" else BATCH
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
