"""What a server's refusal within a script or a pipeline is about: one key, or a command and so all keys."""

from __future__ import annotations

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from dashboard.cache.errors import CacheError, Denied, translate

_PASSING = (AskError, MovedError, ReadOnlyError, ClusterDownError, TryAgainError, BusyLoadingError)
_NOT_HERE = ("MOVED", "READONLY", "non local key", "cluster is down")


def of_one_key(error: CacheError) -> bool:
    """Whether it says nothing about any other key: the user's key patterns, or a slot that is elsewhere."""
    return isinstance(error, Denied) and not error.command and "this key" in error.sentence


def sentence_of(message: bytes, name: str) -> str:
    """Why one key was refused. Servers word it differently, and inside a script differently again."""
    text = message.decode("utf-8", "replace")
    if "permission" in text or "access at least one of the keys" in text:
        return f"Cachedeck's user on {name} has no permission for this key."
    return translate(ResponseError(text), name).sentence


def error_of(command: str, message: bytes, name: str) -> CacheError:
    """Why a script has ended before its end: `command` was refused with this message."""
    text = message.decode("utf-8", "replace")
    if "can't run this command" in text or "no permissions to run" in text:
        return Denied(f"Cachedeck's user on {name} may not run {command}.", command)
    return translate(ResponseError(text), name)


def served_elsewhere(problem: Exception | bytes) -> bool:
    """Whether an error (or what one said within a script) means that another server has this key by now, that this
    one has become a replica, or that it comes back in a moment."""
    if isinstance(problem, _PASSING):
        return True
    text = problem.decode("utf-8", "replace") if isinstance(problem, bytes) else str(problem)
    return text.startswith("BUSY ") or any(words in text for words in _NOT_HERE)
