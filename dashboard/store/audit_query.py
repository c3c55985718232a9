"""The audit trail's filters and their place in a URL.

Times are UTC, to the minute or the second, as `<input type="datetime-local">` writes them: a URL that
is sent to a colleague in another zone means the same there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime

from dashboard.store.audit import Filters

STATUSES = (("", "any"), ("done", "done"), ("failed", "failed"), ("open", "open"))
_TEXTS = ("actor", "cache", "action", "subject", "status")
_TIMES = ("since", "until")


class BadFilter(ValueError):
    """A filter that cannot be used; the text is one sentence for whoever wrote it."""


def from_query(arguments: Mapping[str, str]) -> Filters:
    """Filters from a URL's query or from options. Raises BadFilter; unknown names are not looked at."""
    text = {name: arguments.get(name, "").strip() for name in _TEXTS}
    if text["status"] not in dict(STATUSES):
        raise BadFilter("The outcome is done, failed or open.")
    return Filters(
        actor=text["actor"],
        cache=text["cache"],
        action=text["action"],
        subject=text["subject"],
        status=text["status"],
        since=parse_time(arguments.get("since", "")),
        until=parse_time(arguments.get("until", "")),
    )


def as_typed(arguments: Mapping[str, str]) -> dict[str, str]:
    """The filters of a query that from_query() refuses, for the form in which they can be corrected."""
    return {name: arguments[name] for name in (*_TEXTS, *_TIMES) if arguments.get(name)}


def to_query(filters: Filters) -> dict[str, str]:
    """The filters that are set, as from_query() reads them."""
    set_ones = {field.name: getattr(filters, field.name) for field in fields(filters)}
    return {
        name: format_time(value) if name in _TIMES else str(value)
        for name, value in set_ones.items()
        if value not in {"", None}
    }


def parse_time(text: str) -> float | None:
    """Epoch seconds of an ISO 8601 date or time, UTC unless it names a zone; None for "". Raises BadFilter."""
    text = text.strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadFilter(f"{text[:40]!r} is no time. Write it as 2026-01-31T14:05, in UTC.") from None


def format_time(at: float) -> str:
    """Epoch seconds as parse_time() reads them, to the second."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec="seconds")
