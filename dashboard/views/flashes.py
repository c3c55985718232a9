"""A sentence on the next page with the undo beside it: what base.html draws by invalidations/_flash_undo.html."""

from __future__ import annotations

from flask import flash

from dashboard.cache.servers.target import Target

LONGEST_BACK = 1000
"""Characters of an address: what is flashed stands in a cookie, which browsers drop when it is larger than 4 kB."""


def flash_undoable(sentence: str, level: str, target: Target, number: int, back: str) -> None:
    """Say what was done, and offer to take it back. back: the address to which the undo leads,
    which is the invalidation's own where that is very long.

    On production the offer leads to where the cache's name is typed.
    """
    asks, back = target.environment == "production", back if len(back) <= LONGEST_BACK else ""
    flash({"text": sentence, "undo": {"cache": target.name, "number": number, "next": back, "asks": asks}}, level)  # type: ignore[arg-type]  # it is kept as JSON
