"""Long work that listens and counts: snapshots of it, however it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol, TypeVar

SNAPSHOT_SECONDS = 0.5

S_co = TypeVar("S_co", covariant=True)


class Counting(Protocol[S_co]):
    """What is listened to, and counted. Every method may raise CacheError.

    begin: listen. step: take what has come, waiting for it a moment. over: whether it is time to end. finish: take what
    is still to come. snapshot: how it stands. close: listen no more.
    """

    @property
    def over(self) -> bool: ...

    def begin(self) -> None: ...

    def step(self) -> None: ...

    def finish(self) -> None: ...

    def snapshot(self, *, ended: bool = False) -> S_co: ...

    def close(self) -> None: ...


def snapshots(counting: Counting[S_co]) -> Iterator[S_co]:
    """About two a second; the last is that of the end. Raises CacheError where nothing can be heard."""
    try:
        counting.begin()
        yield counting.snapshot()
        told = time.monotonic()
        while not counting.over:
            counting.step()
            if time.monotonic() - told >= SNAPSHOT_SECONDS:
                told = time.monotonic()
                yield counting.snapshot()
        counting.finish()
        yield counting.snapshot(ended=True)
    finally:
        counting.close()
