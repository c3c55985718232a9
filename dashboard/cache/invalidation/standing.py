"""Where an invalidation stands, as it is noted before and after each call that changes keys. Pure.

Whoever takes it up after its process was killed knows from it what was done to the last key, and which call's answer
nobody has seen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dashboard.cache.invalidation.report import NAMED, Counts, Named
from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.cache.walking.position import Position, position_of

NAME_CUT = 200  # characters


class BadStanding(ValueError):
    """The note was not written by `to_text`."""


@dataclass
class Standing:
    """position: the walk's, before the group of keys that is being worked on. tally: by the names of Counts, of all
    that is certain.

    first: the frame with which that group begins. frame, offset: of this frame so many records were acted upon, and of
    the frames before it all. doubt: how many more are in a call that has not been answered. again: frames that repeat
    keys of earlier ones. cuts: frames of which only so many records were acted upon when a process ended, and how many
    more were in doubt then. owed: keys of that group that were passed over and are to be done still. aside: keys of it
    that are counted, and stand in no frame. expiry: keys by part of the window. partition: of a cluster's slots when
    it began (Cache.partition). ended: there is nothing left to do.
    """

    started_at: float
    position: Position = field(default_factory=Position)
    tally: Counter[str] = field(default_factory=Counter)
    named: list[Named] = field(default_factory=list)
    first: int = 0
    frame: int = 0
    offset: int = 0
    doubt: int = 0
    again: list[int] = field(default_factory=list)
    cuts: dict[int, tuple[int, int]] = field(default_factory=dict)
    owed: set[bytes] = field(default_factory=set)
    aside: set[bytes] = field(default_factory=set)
    expiry: list[int] = field(default_factory=list)
    elapsed: float = 0.0
    busy: float = 0.0
    calls: int = 0
    longest: float = 0.0
    partition: str = ""
    ended: bool = False

    @property
    def counts(self) -> Counts:
        return Counts(**self.tally)

    def name(self, keys: Iterable[bytes], why: str) -> None:
        """Name keys that are left as they are, as long as there is room for them."""
        room = NAMED - len(self.named)
        self.named += [Named(printable(key)[:NAME_CUT], why) for key, _ in zip(keys, range(max(room, 0)), strict=False)]

    def to_text(self) -> str:
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["position"] = self.position.to_plain()
        plain["named"] = [(one.name, one.why) for one in self.named]
        plain["cuts"] = [(frame, *cut) for frame, cut in self.cuts.items()]
        plain["owed"] = [printable(key) for key in self.owed]
        plain["aside"] = [printable(key) for key in self.aside]
        return json.dumps(plain, separators=(",", ":"))


def standing_of(text: str) -> Standing:
    """The standing of a note. Raises BadStanding."""
    try:
        plain: dict[str, Any] = json.loads(text)
        plain["position"] = position_of(plain["position"])
        plain["tally"] = Counter({name: int(plain["tally"].get(name, 0)) for name in Counts.__dataclass_fields__})
        plain["named"] = [Named(name, why) for name, why in plain["named"]]
        plain["cuts"] = {frame: (acted, doubt) for frame, acted, doubt in plain["cuts"]}
        for name in ("owed", "aside"):
            plain[name] = {from_printable(key) for key in plain[name]}
        return Standing(**plain)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadStanding("The ledger of this invalidation was written by another version of Cachedeck.") from error
