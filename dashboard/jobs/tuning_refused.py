"""Why settings are not changed: a small family, each with a sentence and an advice."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.jobs import kind


class Refused(kind.Refused):
    """Something is not done. `sentence` says why, `advice` what to do about it (may be empty)."""


class Unchangeable(Refused):
    """Settings cannot be changed on this cache: read-only, CONFIG denied or unknown."""


class NothingToChange(Refused):
    """Every node has these values already."""


class TrialOpen(Refused):
    """A trial is going on that changes the same settings: number `trial`."""

    def __init__(self, sentence: str, advice: str, trial: int) -> None:
        super().__init__(sentence, advice)
        self.trial = trial


class Altered(Refused):
    """The settings are not any more what was looked at."""


class Unconfirmed(Refused):
    """It has to be confirmed what it would do: `asks`."""

    def __init__(self, asks: Sequence[str]) -> None:
        super().__init__(" ".join(asks), "Confirm it to do it all the same.")
        self.asks = tuple(asks)


class NoSuchChange(Refused):
    """There is no change, or trial, of this number on this cache."""


class HasEnded(Refused):
    """The trial has ended already."""


class Busy(Refused):
    """The trial is being started or taken back, so it can be neither ended nor kept now."""


class NotStarted(Refused):
    """A trial could not be put on every primary, and was taken back."""
