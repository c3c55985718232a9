"""Hashing and checking passwords: argon2id with the parameters that argon2-cffi recommends now.

Those are RFC 9106's second recommendation (64 MiB, 3 passes, 4 lanes), some 50 ms of one core.
"""

from __future__ import annotations

import functools
import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dashboard.store.errors import StoreError

SHORTEST, LONGEST = 10, 1024
"""In characters. NIST SP 800-63B asks for 8 or more, and that long ones are not refused."""

_hasher = PasswordHasher()

# A hash takes 64 MiB while it is made: a burst of sign-ins must not take the whole memory.
_at_once = threading.BoundedSemaphore(2)


class WeakPassword(StoreError):
    """A password that is too short, or absurdly long."""


def hashed(password: str) -> str:
    """The encoded argon2id hash of a new password. Raises WeakPassword."""
    text = _normalised(password)
    if len(text) < SHORTEST:
        raise WeakPassword(f"The password has {len(text)} characters; it needs {SHORTEST} or more.")
    if len(text) > LONGEST:
        raise WeakPassword(f"The password has more than {LONGEST} characters.")
    with _at_once:
        return _hasher.hash(_octets(text))


def matches(password: str, stored: str | None) -> bool:
    """Whether `password` belongs to the hash `stored`. Without one it costs the same and is False."""
    text = _normalised(password)
    acceptable = stored is not None and len(text) <= LONGEST
    reference = stored if stored is not None else decoy()
    with _at_once:
        try:
            return _hasher.verify(reference, _octets(text[:LONGEST])) and acceptable
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than those of today."""
    return _hasher.check_needs_rehash(stored)


@functools.cache
def decoy() -> str:
    """A hash to check against where there is no account: made once a process, of a password nobody has."""
    return _hasher.hash(secrets.token_bytes(32))


def _normalised(password: str) -> str:
    """NFC as RFC 8265 (OpaqueString) asks: keyboards differ in how they compose an accent."""
    return unicodedata.normalize("NFC", password)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
