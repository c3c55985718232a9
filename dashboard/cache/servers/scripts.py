"""The Lua scripts of dashboard/cache, as they travel with each call."""

from __future__ import annotations

from pathlib import Path

# What a script cannot see of its own time: it is checked and started, and its reply is written. By INFO commandstats
# the whole is a tenth longer.
_STARTING = 20e-6  # seconds
_REPLYING = 1.1


def load(*names: str) -> bytes:
    """Files, named as seen from dashboard/cache, one after the other, without comments and indentation."""
    folder = Path(__file__).parents[1]
    lines = [line.strip() for name in names for line in (folder / name).read_text(encoding="utf-8").splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("--")).encode()


def held(microseconds: int) -> float:
    """Seconds for which the server was held by a script that says (by clock.lua) that it took so many microseconds."""
    return microseconds / 1e6 * _REPLYING + _STARTING
