"""The preventions by the names that a knob has for them."""

from __future__ import annotations

from functools import cache

from dashboard.demo.prevention.mutex import Mutex
from dashboard.demo.prevention.none import Unprevented
from dashboard.demo.prevention.revalidate import Revalidate
from dashboard.demo.prevention.xfetch import XFetch
from dashboard.demo.reading import Prevention

_MADE = {"none": Unprevented, "mutex": Mutex, "xfetch": XFetch, "revalidate": Revalidate}


@cache
def prevention(name: str) -> Prevention:
    """One of each in a process, so that turning a knob to and fro makes no more threads. KeyError: there is none."""
    made: Prevention = _MADE[name]()
    return made
