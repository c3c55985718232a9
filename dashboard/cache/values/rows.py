"""What a page of a value is made of. Frozen; elements are bytes until they are drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Excerpt:
    """The beginning of an element of `size` bytes: `data` is all of it, or less, or nothing of a giant."""

    data: bytes
    size: int

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size


@dataclass(frozen=True)
class StringRow:
    """Bytes of a string from `offset` on."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class HashRow:
    """A field. expires_at: epoch seconds, None where the field does not expire or the server cannot say."""

    field: Excerpt
    value: Excerpt
    expires_at: float | None = None


@dataclass(frozen=True)
class ListRow:
    """An element at a position, counted from the head (LINDEX)."""

    index: int
    value: Excerpt


@dataclass(frozen=True)
class SetRow:
    member: Excerpt


@dataclass(frozen=True)
class SortedSetRow:
    """A member. rank: by ascending score from 0 (ZRANK), None where a pattern was searched for."""

    member: Excerpt
    score: float
    rank: int | None


@dataclass(frozen=True)
class StreamRow:
    """An entry. fields: its first 100 at most, in their order, a name may come twice; field_count: all."""

    id: str
    fields: tuple[tuple[Excerpt, Excerpt], ...]
    field_count: int

    @property
    def at(self) -> float:
        """Epoch seconds of the id's first part, which is the server's clock unless the producer chose ids."""
        return int(self.id.partition("-")[0]) / 1000


@dataclass(frozen=True)
class StreamGroup:
    """A consumer group. lag: entries not yet delivered, None where the server does not tell (Redis < 7)."""

    name: bytes
    consumers: int
    pending: int
    last_id: str
    lag: int | None


Row = StringRow | HashRow | ListRow | SetRow | SortedSetRow | StreamRow


@dataclass(frozen=True)
class ValuePage:
    """One page. total: bytes of a string, elements of a collection, exact; None for a module's type.

    next: what to pass as `cursor` for the following page, None when this is the last one. A page
    may have fewer rows than asked for, or none, and still a next one. notes: sentences to show.
    """

    type: str
    rows: tuple[Row, ...]
    total: int | None
    next: str | None
    notes: tuple[str, ...] = ()
    groups: tuple[StreamGroup, ...] = ()


@dataclass(frozen=True)
class Gone:
    """The key is not of the type asked for (any more). type: what it is now, "none" if it does not exist."""

    type: str
