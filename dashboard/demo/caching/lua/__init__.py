"""The scripts that the cache server runs, one a file, each atomic."""

from __future__ import annotations

from pathlib import Path


def lua(name: str) -> str:
    """The text of a script."""
    return Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8")
