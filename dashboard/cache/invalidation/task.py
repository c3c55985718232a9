"""What an invalidation is asked to do: which keys, how, with or without an undo, and whom to tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dashboard.cache.invalidation.mode import Lowering, Mode, Now, mode_from_query
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query
from dashboard.cache.selecting.words import in_words, listed_in_words

CHANNEL_LIMIT = 1024  # bytes
PER = ("key", "batch", "pattern")


class BadTell(ValueError):
    """A message to the applications that cannot be sent; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Tell:
    """Publish to `channel`: a message for each key, for each batch of keys, or one for the whole selection."""

    channel: str
    per: str = "batch"

    def __post_init__(self) -> None:
        if not 0 < len(self.channel.encode("utf-8", "surrogatepass")) <= CHANNEL_LIMIT:
            raise BadTell(f"A channel's name has 1 to {CHANNEL_LIMIT} bytes.")
        if self.per not in PER:
            raise BadTell("Applications are told once a key, a batch or a pattern.")


@dataclass(frozen=True)
class Outline:
    """A task as lists tell it: which keys in words, and the rest as of Task."""

    which: str
    mode: Mode
    vault: bool
    tell: Tell | None

    @property
    def in_words(self) -> str:
        """As of Task."""
        kept = "" if self.vault else ", without undo"
        told = f", telling {self.tell.channel[:80]}" if self.tell else ""
        return f"{self.which}, {self.mode.in_words}{kept}{told}"


@dataclass(frozen=True)
class Task:
    """An invalidation, frozen: its plan is about this, and its execution does this and nothing else.

    vault: whether each key is kept in the vault before it is touched, so that it can be brought back.
    """

    selection: Selection
    mode: Mode = field(default_factory=Now)
    vault: bool = True
    tell: Tell | None = None

    @property
    def lowers(self) -> bool:
        """Whether TTLs are lowered, and nothing is removed by us."""
        return isinstance(self.mode, Lowering)

    @property
    def in_words(self) -> str:
        """`keys of api:*, removed at once`, as the subject of the audit trail."""
        return Outline(in_words(self.selection), self.mode, self.vault, self.tell).in_words

    def to_query(self) -> dict[str, str]:
        """As plain text fields, for a form and for JSON; task_from_query() reads them. A pattern is always written."""
        every = {"pattern": "*"} if self.selection.keys is None else {}
        query = {**every, **self.selection.to_query(), **self.mode.to_query()}
        if not self.vault:
            query["vault"] = "no"
        if self.tell:
            query |= {"channel": self.tell.channel, "per": self.tell.per}
        return query


def task_from_query(query: Mapping[str, str]) -> Task:
    """The task of a form's or a row's fields. Raises BadSelection, BadMode, BadTell, each with a sentence.

    An empty pattern is no selection here: what is forgotten must never mean "all keys".
    """
    if "keys" not in query and not query.get("pattern", "") and not _filtered(query):
        raise BadSelection("Say which keys: a pattern is empty here. Every key is *, typed out.")
    tell = Tell(query["channel"], query.get("per") or "batch") if query.get("channel") else None
    return Task(from_query(query), mode_from_query(query), query.get("vault", "yes") != "no", tell)


def outline_from_query(query: Mapping[str, str]) -> Outline:
    """The outline of a row's fields, of which a long list may have been left out: "listed" says how many keys it has,
    "first" the first of them. Raises as task_from_query() does."""
    if "listed" not in query:
        task = task_from_query(query)
        return Outline(in_words(task.selection), task.mode, task.vault, task.tell)
    first = query.get("first", "")
    task = task_from_query({**query, "keys": first})
    which = listed_in_words(int(query["listed"]), task.selection)
    return Outline(which, task.mode, task.vault, task.tell)


def _filtered(query: Mapping[str, str]) -> bool:
    return False if not query else any(query.get(name) for name in ("type", "ttl", "size"))
