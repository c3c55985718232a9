"""Reading what a program asks for: its body, its query, its head; and whether its token may name these keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from flask import request
from pydantic import ValidationError
from werkzeug.exceptions import NotFound, UnsupportedMediaType

from dashboard.cache.invalidation.mode import BadMode, mode_from_query
from dashboard.cache.invalidation.task import BadTell, Task, Tell
from dashboard.cache.selecting import glob
from dashboard.cache.selecting.conditions import plain_size, plain_ttl
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.cache.servers.connect import Cache
from dashboard.jobs.invalidating import Caller
from dashboard.store.tokens import Token
from dashboard.views.api.models import IDEMPOTENCY_LIMIT, Base64, Given, NewInvalidation, Waiting, bytes_of
from dashboard.views.api.problems import Stopped, invalid, of_validation, problem
from dashboard.views.bearer import address, current_token
from dashboard.views.deck import deck

Body = TypeVar("Body", bound=Given)


@dataclass(frozen=True)
class Repeatable:
    """The Idempotency-Key of a request, None without, and a digest of its body: another body is another request."""

    key: str | None
    fingerprint: str


def body(kind: type[Body]) -> Body:
    """The request's body. Raises UnsupportedMediaType, and Stopped where it is not understood."""
    if not request.is_json:
        raise UnsupportedMediaType("Send JSON, and say so: Content-Type: application/json.")
    try:
        return kind.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        raise Stopped(of_validation(error)) from error


def wait() -> float:
    """Seconds that the answer may be held back. Raises Stopped."""
    if any(len(values) > 1 for values in request.args.listvalues()):
        raise invalid("A parameter of the query is given once.")
    try:
        return Waiting.model_validate(request.args.to_dict()).wait
    except ValidationError as error:
        raise Stopped(of_validation(error, "The query")) from error


def repeatable(asked: Given) -> Repeatable:
    """Raises Stopped for an Idempotency-Key that is empty, too long or no printable ASCII."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= IDEMPOTENCY_LIMIT and key.isascii() and key.isprintable()):
        raise invalid(f"An Idempotency-Key has 1 to {IDEMPOTENCY_LIMIT} printable ASCII characters.")
    return Repeatable(key, hashlib.sha256(asked.model_dump_json().encode()).hexdigest())


def caller() -> Caller:
    token = current_token()
    return Caller(token.actor, address(), "api", token.id)


def cache_of(name: str) -> Cache:
    """The cache of a name, if this token may touch it. Raises Stopped (403) and NotFound.

    A token that is bound to a cache is told nothing about others, not even whether they exist.
    """
    token = current_token()
    if token.cache and token.cache != name:
        raise Stopped(problem(403, f"This token is for the cache {token.cache} alone.", code="other_cache"))
    found = deck().caches.get(name)
    if found is None:
        raise NotFound("No cache is configured under this name.")
    return found


def permit(selection: Selection) -> None:
    """Raises Stopped (403) where some key of the selection is none that this token may name."""
    token = current_token()
    allowed = [from_printable(pattern) for pattern in token.patterns]
    if allowed and not _within(selection, allowed):
        what = "These keys are" if selection.keys is not None else "This pattern is"
        raise Stopped(
            problem(
                403,
                f"{what} not within what this token may name: {_listed(token)}.",
                "Ask for less, or for another token.",
                code="not_allowed",
                allowed=token.patterns,
            )
        )


def task_of(asked: NewInvalidation) -> Task:
    """What is to be done. Raises Stopped where it makes no sense."""
    try:
        tell = Tell(asked.channel, asked.per) if asked.channel is not None else None
        task = Task(_selection(asked), mode_from_query(_mode(asked)), asked.vault, tell)
    except (BadSelection, BadMode, BadTell) as error:
        raise invalid(str(error)) from error
    if task.selection.everything and not asked.everything:
        raise invalid("This pattern means every key of the cache. Say so: everything: true.", "/everything")
    return task


def glob_of(name: str | Base64, pointer: str) -> bytes:
    """A pattern. Raises Stopped where it is empty, or none that a server should be given."""
    pattern = _bytes(name, pointer)
    if not pattern:
        raise invalid("A pattern is not empty. Every key is *.", pointer)
    try:
        return Selection(pattern).pattern
    except BadSelection as error:
        raise invalid(str(error), pointer) from error


def _selection(asked: NewInvalidation) -> Selection:
    if (asked.pattern is None) == (asked.keys is None):
        raise invalid("Say which keys: either pattern or keys.")
    conditions = asked.type, plain_ttl(asked.ttl), plain_size(asked.size)
    if asked.keys is not None:
        named = (_bytes(name, f"/keys/{place}") for place, name in enumerate(asked.keys))
        return Selection(b"*", *conditions, tuple(dict.fromkeys(named)))
    return Selection(glob_of(asked.pattern or "", "/pattern"), *conditions)


def _mode(asked: NewInvalidation) -> dict[str, str]:
    given = {"seconds": asked.seconds, "rate": asked.rate}
    for name, modes in (("seconds", ("gently", "stale")), ("rate", ("paced",))):
        if (given[name] is not None) != (asked.mode in modes):
            need = "needs" if asked.mode in modes else "has no"
            raise invalid(f"The mode {asked.mode} {need} {name}.", f"/{name}")
    return {"mode": asked.mode, **{name: repr(value) for name, value in given.items() if value is not None}}


def _bytes(name: str | Base64, pointer: str) -> bytes:
    try:
        return bytes_of(name)
    except ValueError as error:
        raise invalid(str(error), pointer) from error


def _within(selection: Selection, allowed: Sequence[bytes]) -> bool:
    if selection.keys is not None:
        return all(any(glob.must_match(pattern, key) for pattern in allowed) for key in selection.keys)
    return any(glob.covers(pattern, selection.pattern) for pattern in allowed)


def _listed(token: Token) -> str:
    shown = token.patterns[:5]
    return ", ".join(shown) + (f" and {len(token.patterns) - 5} more" if len(token.patterns) > 5 else "")
