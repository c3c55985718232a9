"""Keys named one by one: the ticked rows of a form, and how the audit trail names keys."""

from __future__ import annotations

import hashlib

from flask import request

from dashboard.cache.selecting.key_token import from_token, printable
from dashboard.cache.selecting.selection import Selection

SUBJECT_LIMIT = 2000  # characters of a key's name there; a longer one is told by its beginning, size and digest
NAMED = 100  # keys of a list that the trail names


def ticked() -> Selection | None:
    """The keys of the fields `key`, tokens of their pages' addresses; None where the form has none.

    Raises BadToken, BadSelection.
    """
    tokens = request.form.getlist("key")
    if not tokens:
        return None
    return Selection(keys=tuple(dict.fromkeys(from_token(token) for token in tokens)))


def subject(name: bytes) -> str:
    """How the audit trail names a key: whole, or where it is long so that no other key is named alike."""
    shown = printable(name)
    if len(shown) <= SUBJECT_LIMIT:
        return shown
    return f"{shown[:SUBJECT_LIMIT]}... ({len(name)} bytes, SHA-256 {hashlib.sha256(name).hexdigest()})"


def named(keys: tuple[bytes, ...]) -> list[str]:
    """The keys of a list by name, for the audit trail: at most NAMED, and how many more there are."""
    names = [subject(key) for key in keys[:NAMED]]
    return [*names, f"and {len(keys) - NAMED} more"] if len(keys) > NAMED else names
