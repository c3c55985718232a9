"""What can go wrong with Cachedeck's own database, each in a sentence for the operator.

Messages of drivers stay in the log (they are the cause, `__cause__`): they name hosts and users.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)

QUIET_SECONDS = 60.0
"""How long the log is spared a reason that it has: each request and each sample fails for the same one."""

_log = logging.getLogger(__name__)
_told: dict[str, float] = {}


class StoreError(Exception):
    """Something that the store refuses or cannot do.

    `sentence` says what happened, `advice` what to do about it (may be empty). Neither holds a secret.
    """

    def __init__(self, sentence: str, advice: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.advice = advice


class StoreUnavailable(StoreError):
    """The database does not answer, or does not accept what is written."""


class StoreUnusable(StoreError):
    """The database cannot be opened at all: a bad address, a missing driver, a schema of the future."""


_KNOWN = (
    (
        ("database is locked", "database table is locked"),
        "Cachedeck's own database is locked by another process.",
        "Try again. If it stays so, look for a backup or a shell that holds the file open.",
    ),
    (
        ("disk is full", "no space left"),
        "The disk of Cachedeck's own database is full.",
        "Free space in the data folder.",
    ),
    (
        ("readonly database", "read-only transaction"),
        "Cachedeck's own database cannot be written.",
        "Check the owner and mode of the data folder, or that the server is no standby.",
    ),
    (
        ("not a database", "malformed"),
        "The file of Cachedeck's own database is damaged or is no SQLite database.",
        "Restore it from a backup.",
    ),
    (
        ("unable to open database file",),
        "The file of Cachedeck's own database cannot be opened.",
        "Check that its folder exists and that Cachedeck may write there.",
    ),
)

_MISTAKES_OF_OURS = (IntegrityError, DataError, ProgrammingError, NotSupportedError)


@contextmanager
def translating() -> Iterator[None]:
    """Turn a driver's error about the database's state into StoreUnavailable.

    Errors about a statement (a unique key that is taken, a wrong type) pass as they are.
    """
    try:
        yield
    except _MISTAKES_OF_OURS:
        raise
    except (DatabaseError, InterfaceError) as error:
        raise unavailable(error.orig or error) from error


def _tell(sentence: str, error: BaseException) -> None:
    """The driver's own words for the log. They name hosts and users, but no passwords (nor, hidden, parameters)."""
    now = time.monotonic()
    if now - _told.get(sentence, -QUIET_SECONDS) >= QUIET_SECONDS:
        _told[sentence] = now
        _log.error("%s %s: %s", sentence, type(error).__name__, " ".join(str(error).split()))


def unavailable(error: BaseException) -> StoreUnavailable:
    """What a driver's error means for the operator; the log is told what the driver said."""
    found = _meaning(error)
    _tell(found.sentence, error)
    return found


def _meaning(error: BaseException) -> StoreUnavailable:
    said = str(error).lower()
    for signs, sentence, advice in _KNOWN:
        if any(sign in said for sign in signs):
            return StoreUnavailable(sentence, advice)
    return StoreUnavailable(
        "Cachedeck's own database does not answer.", "The log has the reason; check CACHEDECK_DATABASE_URL."
    )
