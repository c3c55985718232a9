"""How far long work is, on one line of the terminal that is written over."""

from __future__ import annotations

import sys

import click

from dashboard.cache.walking.progress import Progress


class Line:
    """Draws on stderr; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._drawn = False
        self._wanted = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._wanted:
            click.echo(f"\r\033[K{text}", err=True, nl=False)
            self._drawn = True

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._drawn:
            click.echo("\r\033[K", err=True, nl=False)
            self._drawn = False


def in_a_line(progress: Progress) -> str:
    """`412,000 of 1,000,000 keys, 41 %, 480,000/s, 2 s left, the server was held 48 % of the time`."""
    left = "" if progress.left is None else f", {progress.left:.0f} s left"
    held = progress.busy / progress.elapsed / max(progress.primaries, 1) if progress.elapsed > 0 else 0.0
    return (
        f"{progress.examined:,} of {progress.total:,} keys, {progress.share:.0%}, {progress.rate:,.0f}/s{left}, "
        f"held the server for {held:.0%} of the time"
    )
