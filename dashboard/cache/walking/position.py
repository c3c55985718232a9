"""Where a walk over a keyspace stands. Pure and serialisable, so that a walk can be left and taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a walk stands on one primary. `cursor` None: not begun; 0: through; `lost`: why it cannot go on."""

    cursor: int | None = None
    examined: int = 0
    keys: int | None = 0  # None: DBSIZE is denied
    lost: str = ""

    @property
    def ended(self) -> bool:
        return self.cursor == 0 or bool(self.lost)

    @property
    def share(self) -> float:
        """How much of this primary was examined, 0 to 1; a mere order where its size is not told."""
        return self.examined / (self.keys or 1_000_000)

    def after(self, cursor: int, examined: int) -> Place:
        """After a call that visited `examined` keys and left this cursor.

        SCAN may visit a few more than there were, and says so only at the end.
        """
        seen = self.examined + examined
        if self.keys is not None:
            seen = self.keys if cursor == 0 else min(seen, self.keys)
        return replace(self, cursor=cursor, examined=seen, lost="")


@dataclass(frozen=True)
class Position:
    """Where a walk stands on all primaries, by their names."""

    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return bool(self.places) and all(place.ended for place in self.places.values())

    @property
    def begun(self) -> bool:
        """Whether something was seen of every primary."""
        return all(place.ended or place.cursor is not None for place in self.places.values())

    @property
    def examined(self) -> int:
        return sum(place.examined for place in self.places.values())

    @property
    def total(self) -> int:
        """Keys on all primaries, as DBSIZE said when the walk began; where it is denied, those examined."""
        return sum(place.examined if place.keys is None else place.keys for place in self.places.values())

    @property
    def lost(self) -> dict[str, str]:
        return {name: place.lost for name, place in self.places.items() if place.lost}

    def retried(self) -> Position:
        """The same, with another chance for the primaries that were lost."""
        return Position({name: replace(place, lost="") for name, place in self.places.items()})

    def at(self, name: str, place: Place) -> Position:
        """The same, with one primary standing elsewhere."""
        return Position({**self.places, name: place})

    def without(self, name: str) -> Position:
        return Position({other: place for other, place in self.places.items() if other != name})

    def to_plain(self) -> dict[str, dict[str, Any]]:
        """As what JSON knows; position_of() reads it."""
        return {
            name: {"cursor": place.cursor, "examined": place.examined, "keys": place.keys, "lost": place.lost}
            for name, place in self.places.items()
        }


def position_of(plain: Mapping[str, Any]) -> Position:
    """The position that to_plain() has written down. Raises ValueError, KeyError, TypeError or AttributeError for
    anything else."""
    return Position({str(name): _place(raw) for name, raw in plain.items()})


def _place(raw: Mapping[str, Any]) -> Place:
    cursor = raw["cursor"]
    if cursor is not None and not 0 <= int(cursor) < 1 << 64:
        raise ValueError
    size = raw["keys"]
    return Place(
        None if cursor is None else int(cursor),
        max(0, int(raw["examined"])),
        None if size is None else max(0, int(size)),
        str(raw["lost"])[:300],
    )
