"""Sieve: which events somebody wants to see, by text and by channel, judged before anything is kept or sent. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.cache.events.subscription import LONGEST_NAME, BadSubscription
from dashboard.cache.selecting import glob
from dashboard.cache.selecting.key_token import from_printable, printable

LOOKED_AT = 65536
"""Bytes of a payload in which a text is looked for."""
_REMEMBERED = 4096  # channels of which it is known whether they match


@dataclass(frozen=True)
class Sieve:
    """text: occurs in the payload or in the channel, ASCII letters in either case; b"" for any. channel: a glob pattern
    of the channel, b"" for any. Raises BadSubscription."""

    text: bytes = b""
    channel: bytes = b""

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_NAME or len(self.channel) > LONGEST_NAME:
            raise BadSubscription(f"A filter has at most {LONGEST_NAME:,} bytes.")
        if glob.stars(self.channel) > glob.STARS_LIMIT:
            raise BadSubscription(f"A pattern has at most {glob.STARS_LIMIT} stars.")

    @property
    def open(self) -> bool:
        """Whether it lets everything through."""
        return not self.text and self.channel in (b"", b"*")

    def judge(self) -> Callable[[bytes, bytes], bool]:
        """A function that says of a channel and a payload whether they pass. It remembers channels: make one for each
        use."""
        text = self.text.lower()
        pattern = b"" if self.channel == b"*" else self.channel
        known: dict[bytes, tuple[bool, bool]] = {}

        def of_channel(channel: bytes) -> tuple[bool, bool]:
            """(whether the channel passes, whether the text is in its name)."""
            found = known.get(channel)
            if found is None:
                found = (not pattern or glob.matches(pattern, channel), bool(text) and text in channel.lower())
                if len(known) >= _REMEMBERED:
                    known.clear()
                known[channel] = found
            return found

        def passes(channel: bytes, payload: bytes) -> bool:
            passes_channel, has_text = of_channel(channel)
            return passes_channel and (not text or has_text or text in payload[:LOOKED_AT].lower())

        return passes

    def to_query(self) -> dict[str, str]:
        """The parts that are set, as query parameters."""
        found = {"text": printable(self.text), "in": printable(self.channel)}
        return {name: value for name, value in found.items() if value}


def sieve_of(text: str, channel: str) -> Sieve:
    """The Sieve of what somebody wrote. Raises BadSubscription."""
    return Sieve(from_printable(text.strip()), from_printable(channel.strip()))
