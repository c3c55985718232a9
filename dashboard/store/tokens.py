"""Tokens of the API: a random secret each, shown once, with a role, a cache and the keys that it may name.

The store keeps the SHA-256 of a secret. A secret has 256 random bits, so no slow hash has to protect it. Wrong ones
are counted where they come from, as failed sign-ins are (throttle.py); a right one is let in all the same, because
whoever shares an address with a broken script has done nothing wrong, and guessing 256 bits needs no brake.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from dashboard.store import throttle
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role
from dashboard.store.schema import TokenRow
from dashboard.store.throttle import Throttled

__all__ = ["Draft", "InvalidToken", "NameTaken", "Throttled", "Token", "UnknownToken"]
__all__ += ["add", "all_tokens", "bearer", "by_id", "revoke"]

MARK = "cdk_"  # by which people and scanners of repositories know a secret of ours
SECRET_BYTES = 32
BEGINNING = 8  # letters that the list shows, so that one knows which of several it is
LONGEST_NAME = 48
MOST_PATTERNS = 50
LONGEST_PATTERNS = 16_384  # characters, all together
ROLES = (Role.VIEWER, Role.OPERATOR)
USED_SECONDS = 60.0  # how far last_used_at may lag: a token in a loop would else write at each request

_NAME = re.compile(r"[^\W_](?:[\w .@+-]*[\w.@+-])?")


@dataclass(frozen=True)
class Draft:
    """A token to be. cache: "" for every cache. patterns: globs as printable text, empty for all keys.

    expires_at: seconds since the epoch; None for never.
    """

    name: str
    role: Role
    cache: str = ""
    patterns: tuple[str, ...] = ()
    expires_at: float | None = None


@dataclass(frozen=True)
class Token:
    """A token as it is now, without its secret; fields as of Draft. beginning: the secret's first letters."""

    id: int
    name: str
    beginning: str
    role: Role
    cache: str
    patterns: tuple[str, ...]
    created_by: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    revoked_at: float | None
    revoked_by: str

    @property
    def actor(self) -> str:
        """Its name in the audit trail. No operator can have it: theirs have no colon."""
        return f"token:{self.name}"

    def state(self, now: float) -> str:
        """ "good", "revoked" or "expired"."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "good"


class InvalidToken(StoreError):
    """A draft that says nothing sensible."""


class NameTaken(StoreError):
    """Another token has this name, or had it: the audit trail knows tokens by their names."""


class UnknownToken(StoreError):
    """No token has this id."""


def add(store: Store, draft: Draft, created_by: str) -> tuple[Token, str]:
    """Make a token; its secret is known to whoever is given this answer and to nobody else, ever after.

    Raises InvalidToken, NameTaken.
    """
    _check(draft)
    secret = MARK + secrets.token_urlsafe(SECRET_BYTES)
    row = TokenRow(
        name=draft.name,
        hash=_hash(secret),
        beginning=secret[:BEGINNING],
        role=int(draft.role),
        cache=draft.cache,
        patterns=json.dumps(draft.patterns),
        created_by=created_by,
        created_at=time.time(),
        expires_at=draft.expires_at,
        last_used_at=None,
        revoked_at=None,
        revoked_by="",
    )
    try:
        with store.write() as session:
            session.add(row)
            session.flush()
            return _token(row), secret
    except IntegrityError:
        raise NameTaken(f"There is or was a token {draft.name}.", "Choose another name.") from None


def all_tokens(store: Store) -> list[Token]:
    """Every token, those that are no longer good too, the newest first."""
    with store.read() as session:
        return [_token(row) for row in session.scalars(select(TokenRow).order_by(TokenRow.id.desc()))]


def by_id(store: Store, token_id: int) -> Token | None:
    """One token, good or not."""
    if not 0 < token_id < 2**31:
        return None
    with store.read() as session:
        row = session.get(TokenRow, token_id)
        return _token(row) if row else None


def revoke(store: Store, token_id: int, by: str) -> Token:
    """Let a token in no longer, for ever; who did it first is kept. Raises UnknownToken."""
    with store.write() as session:
        row = session.get(TokenRow, token_id) if 0 < token_id < 2**31 else None
        if row is None:
            raise UnknownToken("There is no such token.")
        if row.revoked_at is None:
            row.revoked_at, row.revoked_by = time.time(), by
            session.flush()
        return _token(row)


def bearer(store: Store, secret: str, address: str, now: float | None = None) -> Token | None:
    """The token of a secret, good or not (see Token.state); None for a wrong one, which is counted.

    address: where it comes from, as of operators.sign_in. Raises Throttled for a wrong one of too many.
    """
    now = time.time() if now is None else now
    with store.read() as session:
        row = session.scalar(select(TokenRow).where(TokenRow.hash == _hash(secret)))
    if row is None:
        with store.write("sign_in") as session:
            throttle.reserve(session, throttle.place_of_tokens(address), now)
        return None
    found = _token(row)
    if found.state(now) == "good":
        _note_use(store, found, now)
    return found


def _note_use(store: Store, token: Token, now: float) -> None:
    if token.last_used_at is not None and abs(now - token.last_used_at) < USED_SECONDS:
        return
    due = or_(
        TokenRow.last_used_at.is_(None),
        TokenRow.last_used_at <= now - USED_SECONDS,
        TokenRow.last_used_at >= now + USED_SECONDS,  # of a clock that was set back
    )
    with store.write() as session:
        session.execute(update(TokenRow).where(TokenRow.id == token.id, due).values(last_used_at=now))


def _check(draft: Draft) -> None:
    if len(draft.name) > LONGEST_NAME or not _NAME.fullmatch(draft.name):
        raise InvalidToken(
            f"A token's name has 1 to {LONGEST_NAME} letters, digits, spaces and . _ @ + -, and begins with a letter "
            "or digit."
        )
    if draft.role not in ROLES:
        raise InvalidToken("A token is a viewer or an operator: nothing that the API does needs an admin.")
    if len(draft.patterns) > MOST_PATTERNS or sum(map(len, draft.patterns)) > LONGEST_PATTERNS:
        raise InvalidToken(
            f"A token has at most {MOST_PATTERNS} patterns, of {LONGEST_PATTERNS:,} characters together."
        )
    if draft.expires_at is not None and draft.expires_at <= time.time():
        raise InvalidToken("A token expires in the future.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        beginning=row.beginning,
        role=Role(row.role),
        cache=row.cache,
        patterns=tuple(json.loads(row.patterns)),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
    )
