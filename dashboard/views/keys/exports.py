"""Exports: the keys of a selection as a file of JSON lines, sent as it is read."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import cast

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.exporting.looking import MEMBERS_MOST, VALUE_BYTES
from dashboard.cache.exporting.reading import DUMP_BYTES
from dashboard.cache.exporting.run import Options, Part, export, last_line, why_not_whole
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.cache.selecting.words import in_words
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.watch import Limits
from dashboard.settings import Settings
from dashboard.store.audit import JSON, Attempt
from dashboard.store.operators import Role
from dashboard.views.access import change, current_cache, reason, requires
from dashboard.views.deck import deck
from dashboard.views.render import page
from dashboard.views.selection_bar import selection_bar
from dashboard.views.ticked import named, ticked

blueprint = Blueprint("exports", __name__, url_prefix="/caches/<cache>/exports")

AT_ONCE = 2  # of this process: each holds a thread for as long as it takes
_EXTENSION = "cachedeck_exports"


class _Incomplete(Exception):
    """For the audit trail: keys are missing from what was sent."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@blueprint.get("/new")
@requires(Role.OPERATOR)
def new(cache: str) -> ResponseReturnValue:
    """The form, filled in from the query: a selection."""
    return _form(from_query(request.args))


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Send the ticked keys (`key`, tokens), those of a list (`keys`) or of a selection; `form` is value or dump.

    422 with the form where it says nothing sensible, 503 where enough exports are under way. Anything that goes wrong
    later is said in the last line of the file.
    """
    try:
        chosen = ticked()
        selection = from_query(request.form) if chosen is None else chosen
    except BadSelection as error:
        return _form(Selection(), str(error), 422)
    settings = deck().settings
    dump = request.form.get("form") == "dump"
    keys: JSON = list[JSON](named(selection.keys)) if selection.keys else None
    audited = change("keys.export", in_words(selection), {"keys": keys} if keys else None, reason())
    lines = _lines(current_cache(), selection, _options(settings, dump=dump), audited, _room())
    # The attempt is written down, and the cache has answered, before anything is promised to the browser.
    first = next(lines)
    response = Response(_Sent(first, lines), mimetype="application/x-ndjson")
    response.headers["Content-Disposition"] = f'attachment; filename="cachedeck-{file_name(cache)}.jsonl"'
    return response


def _form(selection: Selection, error: str = "", status: int = 200) -> Response:
    return page(
        "exports/new.html",
        screen="keys",
        status=status,
        selection=selection,
        words=in_words(selection),
        query=selection.to_query(),
        bar=selection_bar(selection),
        errors={"pattern": error} if error else {},
        value_bytes=VALUE_BYTES,
        dump_bytes=DUMP_BYTES,
        members=MEMBERS_MOST,
    )


def _options(settings: Settings, *, dump: bool) -> Options:
    budget = Budget(hold_ms=settings.walk_hold_ms, share=settings.walk_share)
    return Options(budget, Limits(settings.walk_latency_ms, settings.walk_memory_mb * 1024 * 1024), dump=dump)


def _lines(
    cache: Cache,
    selection: Selection,
    options: Options,
    audited: AbstractContextManager[Attempt],
    room: threading.Semaphore,
) -> Generator[bytes]:
    """The file, in parts, the first of which may be empty. Raises CacheError before the first part only."""
    with _place(room):
        last: Part | None = None
        try:
            with audited as attempt:
                try:
                    with closing(cast("Generator[Part]", export(cache, selection, options))) as parts:
                        for place, last in enumerate(parts):
                            if last.lines or not place:
                                yield "".join(last.lines).encode()
                except GeneratorExit:
                    raise _Incomplete("The browser broke the download off.") from None
                finally:
                    attempt.done(after={"dump": options.dump, **(last.counts.to_plain() if last else {})})
                _require_whole(last)
        except _Incomplete as error:
            if last is None or not last.progress.ended:
                return
            yield last_line(last, error.sentence).encode()
        except CacheError as error:
            if last is None:
                raise
            yield last_line(last, f"{error.sentence} {error.advice}".strip()).encode()
        else:
            yield last_line(last).encode()


def _require_whole(last: Part | None) -> None:
    why = why_not_whole(last) if last else ""
    if why:
        raise _Incomplete(why)


@contextmanager
def _place(room: threading.Semaphore) -> Iterator[None]:
    if not room.acquire(blocking=False):
        abort(503, f"{AT_ONCE} exports are under way. Wait for the end of one, or use `cachedeck export`.")
    try:
        yield
    finally:
        room.release()


def _room() -> threading.Semaphore:
    found = current_app.extensions.setdefault(_EXTENSION, threading.BoundedSemaphore(AT_ONCE))
    assert isinstance(found, threading.Semaphore)  # noqa: S101  (narrows the type; nobody else writes it)
    return found


class _Sent:
    """A part that was made beforehand and those to come, which end with it when the browser hangs up."""

    def __init__(self, first: bytes, rest: Generator[bytes]) -> None:
        self._first: list[bytes] = [first]
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._first.pop() if self._first else next(self._rest)

    def close(self) -> None:
        self._rest.close()


def file_name(cache: str) -> str:
    """Of ASCII letters, digits and a few signs, for a header."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in cache)
