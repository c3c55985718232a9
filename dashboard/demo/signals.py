"""What the demo's programs do when they are told to end."""

from __future__ import annotations

import signal
from collections.abc import Callable


def on_signals(act: Callable[[], object]) -> None:
    """Call `act` for SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: act())
