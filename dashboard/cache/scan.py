"""SCAN, with as much of a selection as the server can judge by itself. Pure."""

from __future__ import annotations

from typing import Any

from dashboard.cache.selection import Selection


def scan_command(selection: Selection, cursor: int, count: int) -> list[Any]:
    """The words of one SCAN call."""
    command: list[Any] = ["SCAN", cursor]
    if selection.pattern != b"*":
        command += ["MATCH", selection.pattern]
    command += ["COUNT", count]
    if selection.type:
        command += ["TYPE", selection.type]
    return command
