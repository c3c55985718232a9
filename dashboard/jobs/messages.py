"""Messages of the queue as JSON.

huey's own serializer is pickle, with which whoever can write to the queue can run code in the worker.
What JSON carries is data, and the name of a task that is looked up among the registered ones.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from huey import SKIPPED, Error
from huey.registry import Message
from huey.serializer import Serializer

_TAG = "$"


class BadMessage(ValueError):
    """A message of the queue is not one of ours, or holds what JSON cannot carry."""


class JsonSerializer(Serializer):  # type: ignore[misc]
    """huey's messages and results as JSON; what JSON lacks stands under a tag. Raises BadMessage."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(_plain(data), separators=(",", ":"), allow_nan=False).encode()

    def _deserialize(self, data: bytes) -> Any:
        try:
            return _restored(json.loads(bytes(data)))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadMessage("A message of the queue cannot be read.") from error


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if value is SKIPPED:
        return {_TAG: "skipped", "v": None}
    for kind, tag, write in _WRITERS:
        if isinstance(value, kind):
            return {_TAG: tag, "v": write(value)}
    raise BadMessage(f"The queue carries no values of the type {type(value).__name__}.")


def _pairs(value: dict[Any, Any]) -> list[Any]:
    return [[_plain(name), _plain(part)] for name, part in value.items()]


# The first that fits: Message and Error are tuples too.
_WRITERS: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (Message, "message", lambda message: {name: _plain(part) for name, part in message._asdict().items()}),
    (Error, "error", lambda error: _plain(error.metadata)),
    (tuple, "tuple", lambda parts: [_plain(part) for part in parts]),
    (dict, "dict", _pairs),
    (bytes, "bytes", lambda data: b64encode(data).decode("ascii")),
    (datetime, "datetime", datetime.isoformat),
    (timedelta, "timedelta", timedelta.total_seconds),
)

_READERS: dict[str, Callable[[Any], Any]] = {
    "message": lambda fields: Message(**{name: _restored(part) for name, part in fields.items()}),
    "error": lambda metadata: Error(_restored(metadata)),
    "skipped": lambda _nothing: SKIPPED,
    "tuple": lambda parts: tuple(_restored(part) for part in parts),
    "dict": lambda pairs: {_restored(name): _restored(part) for name, part in pairs},
    "bytes": lambda text: b64decode(text, validate=True),
    "datetime": datetime.fromisoformat,
    "timedelta": lambda seconds: timedelta(seconds=seconds),
}


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(part) for part in value]
    if isinstance(value, dict):
        return _READERS[value[_TAG]](value["v"])
    return value
