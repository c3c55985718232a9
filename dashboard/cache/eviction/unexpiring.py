"""What never expires: how much of a cache has no TTL, by the best that is known. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.cache.statistics.picture import Analysed, Picture
from dashboard.cache.wording import count, percent, size, span

OLD_SECONDS = 3600.0
"""An analysis that is older says so."""


@dataclass(frozen=True)
class Unexpiring:
    """What has no TTL. share: of memory where an analysis tells it, else of keys. of: "memory" or "the keys".
    amount: in bytes or in keys. ago: how old the analysis is, seconds."""

    share: float
    of: str
    amount: float
    ago: float | None = None

    @property
    def in_words(self) -> str:
        """'31 % of memory (20 MB)', with the age of the analysis where that is more than an hour."""
        told = size(self.amount) if self.of == "memory" else count(self.amount)
        old = f", by the analysis of {span(self.ago)} ago" if self.ago is not None and self.ago > OLD_SECONDS else ""
        return f"{percent(self.share)} of {self.of} ({told}{old})"

    @property
    def begins(self) -> str:
        """The same as the beginning of a sentence, with its verb."""
        words = self.in_words
        return f"{words[:1].upper()}{words[1:]} {'has' if self.of == 'memory' else 'have'}"


def of_picture(picture: Picture, analysed: Analysed | None) -> Unexpiring | None:
    """Of the whole cache; None where it is not known, or there are no keys.

    The server's own count of keys says for sure that none or all have a TTL; in between an analysis knows more, as it
    has weighed them.
    """
    whole = picture.whole
    share = whole.share_without_ttl if whole else None
    if whole is None or share is None:
        return None
    if 0 < share < 1 and analysed is not None and analysed.memory > 0:
        ago = max(picture.now - analysed.at, 0.0)
        return Unexpiring(min(analysed.without_ttl / analysed.memory, 1.0), "memory", analysed.without_ttl, ago)
    return Unexpiring(share, "the keys", whole.get("keys") - whole.get("keys_with_ttl"))
