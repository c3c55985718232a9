"""SCAN, with as much of a selection as the server can judge by itself. Pure."""

from __future__ import annotations

from typing import Any

from dashboard.cache.selecting.selection import Selection


def scan_command(selection: Selection, cursor: int, count: int) -> list[Any]:
    """The words of one SCAN call."""
    command: list[Any] = ["SCAN", cursor]
    if selection.glob != b"*":
        command += ["MATCH", selection.glob]
    command += ["COUNT", count]
    if selection.type:
        command += ["TYPE", selection.type]
    return command


def examined_by(selection: Selection, following: int, count: int, given: int) -> int:
    """How many keys one call examined that gave `given` of them, and the cursor `following`.

    A call visits COUNT keys and at most a bucket more; how many exactly is seen only where none is left out, and the
    last call visits fewer.
    """
    none_left_out = selection.glob == b"*" and not selection.type
    return given if none_left_out or not following else max(count, given)
