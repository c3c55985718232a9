"""The people who may sign in, what each of them may do, and signing in itself."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dashboard.store import passwords, throttle
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.passwords import WeakPassword
from dashboard.store.schema import OperatorRow
from dashboard.store.throttle import Throttled

__all__ = [
    "InvalidName",
    "LastAdmin",
    "NameTaken",
    "Operator",
    "Role",
    "Throttled",
    "UnknownOperator",
    "WeakPassword",
    "add",
    "all_operators",
    "by_id",
    "by_name",
    "check_password",
    "end_sessions",
    "set_enabled",
    "set_password",
    "set_role",
    "sign_in",
]

LONGEST_NAME = 64
RESERVED = frozenset(":()")
"""Of the audit trail's actors that are no operators, such as cli:root and (anonymous)."""


class Role(IntEnum):
    """What an operator may do; each role may do all that the ones below it may."""

    VIEWER = 1
    """Looks."""
    OPERATOR = 2
    """Acts on keys."""
    ADMIN = 3
    """Changes servers' settings and accounts."""

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, label: str) -> Role:
        """The role of a label such as "viewer". Raises ValueError, whose message names the roles."""
        for role in cls:
            if role.label == label.strip().lower():
                return role
        raise ValueError(f"{label!r} is no role; the roles are {', '.join(role.label for role in cls)}")


@dataclass(frozen=True)
class Operator:
    """An account. A session is good as long as `enabled` is true and `session_epoch` is its own."""

    id: int
    name: str
    role: Role
    enabled: bool
    session_epoch: int
    created_at: float
    last_login_at: float | None


class InvalidName(StoreError):
    """A name that is empty, too long or not printable."""


class NameTaken(StoreError):
    """A name that another operator has, be it in other letters of the same meaning."""


class UnknownOperator(StoreError):
    """No operator has this id."""


class LastAdmin(StoreError):
    """The change would leave nobody who can change accounts."""


def add(store: Store, name: str, password: str, role: Role) -> Operator:
    """Create an enabled account. Raises InvalidName, NameTaken, WeakPassword.

    Names are kept in NFKC and are the same when only their case differs.
    """
    shown = _valid(name)
    row = OperatorRow(
        name=shown,
        name_key=_key(shown),
        password_hash=passwords.hashed(password),
        role=int(role),
        enabled=True,
        session_epoch=1,
        created_at=time.time(),
        last_login_at=None,
    )
    try:
        with store.write() as session:
            session.add(row)
            session.flush()
            return _operator(row)
    except IntegrityError:
        raise NameTaken(f"There is an operator {shown} already.", "Choose another name.") from None


def all_operators(store: Store) -> list[Operator]:
    """Every account, the disabled too, by name."""
    with store.read() as session:
        return [_operator(row) for row in session.scalars(select(OperatorRow).order_by(OperatorRow.name_key))]


def by_id(store: Store, operator_id: int) -> Operator | None:
    """One account, enabled or not."""
    if not 0 < operator_id < 2**31:
        return None
    with store.read() as session:
        row = session.get(OperatorRow, operator_id)
        return _operator(row) if row else None


def by_name(store: Store, name: str) -> Operator | None:
    """One account, enabled or not, in whatever case the name is written."""
    with store.read() as session:
        row = _by_key(session, _key(name))
        return _operator(row) if row else None


def end_sessions(store: Store, operator_id: int) -> None:
    """End every session of one account, copies of its cookie included. Raises UnknownOperator."""
    _changed(store, operator_id, lambda _row: None)


def set_password(store: Store, operator_id: int, password: str) -> Operator:
    """Give a new password and end every session. Raises UnknownOperator, WeakPassword."""
    new_hash = passwords.hashed(password)

    def change(row: OperatorRow) -> None:
        row.password_hash = new_hash

    return _changed(store, operator_id, change)


def set_role(store: Store, operator_id: int, role: Role) -> Operator:
    """Give another role and end every session. Raises UnknownOperator, LastAdmin."""

    def change(row: OperatorRow) -> None:
        row.role = int(role)

    return _changed(store, operator_id, change)


def set_enabled(store: Store, operator_id: int, enabled: bool) -> Operator:
    """Allow signing in or forbid it, and end every session. Raises UnknownOperator, LastAdmin."""

    def change(row: OperatorRow) -> None:
        row.enabled = enabled

    return _changed(store, operator_id, change)


def sign_in(store: Store, name: str, password: str, address: str, now: float | None = None) -> Operator | None:
    """The operator to whom name and password belong; None for whatever reason they do not.

    Costs one check of a password whether the name is known, unknown or disabled. How often it may be
    tried from `address` (an IP address) is said in `throttle`. Raises Throttled.
    """
    now = time.time() if now is None else now
    where = throttle.place(_key(name), address)
    checked = _checked(store, where, name, password, now)
    if checked is None:
        return None
    is_outdated = passwords.is_outdated(checked.password_hash)
    replacement = passwords.hashed(password) if is_outdated else checked.password_hash
    with store.write("sign_in") as session:
        row = session.get(OperatorRow, checked.id)
        # It may have been disabled, or its password changed, while the password was being checked.
        if row is None or row.session_epoch != checked.session_epoch:
            return None
        throttle.succeeded(session, where, now)
        row.password_hash = replacement
        row.last_login_at = now
        return _operator(row)


def check_password(store: Store, name: str, password: str, address: str, now: float | None = None) -> bool:
    """Whether name and password belong together. Throttled as a sign-in is, but none. Raises Throttled."""
    now = time.time() if now is None else now
    where = throttle.place(_key(name), address)
    if _checked(store, where, name, password, now) is None:
        return False
    with store.write("sign_in") as session:
        throttle.succeeded(session, where, now)
    return True


def _checked(store: Store, where: throttle.Place, name: str, password: str, now: float) -> OperatorRow | None:
    """The enabled account to which name and password belong, as it was before the check. Raises Throttled."""
    passwords.decoy()
    with store.write("sign_in") as session:
        throttle.reserve(session, where, now)
        row = _by_key(session, _key(name))
        known = row if row and row.enabled else None
    is_right = passwords.matches(password, known.password_hash if known else None)
    return known if is_right else None


def _changed(store: Store, operator_id: int, change: Callable[[OperatorRow], None]) -> Operator:
    """Change one account so that its sessions end and somebody is left who can change accounts."""
    with store.write("operators") as session:
        row = session.get(OperatorRow, operator_id)
        if row is None:
            raise UnknownOperator(f"There is no operator {operator_id}.")
        was_admin = _is_admin(row)
        change(row)
        row.session_epoch += 1
        session.flush()
        admins = select(OperatorRow.id).where(OperatorRow.role == Role.ADMIN, OperatorRow.enabled.is_(True))
        if was_admin and session.scalars(admins.limit(1)).first() is None:
            raise LastAdmin(f"{row.name} is the last enabled admin.", "Make somebody else an admin before this.")
        return _operator(row)


def _is_admin(row: OperatorRow) -> bool:
    return row.enabled and row.role == Role.ADMIN


def _valid(name: str) -> str:
    shown = unicodedata.normalize("NFKC", name).strip()
    if not 1 <= len(shown) <= LONGEST_NAME:
        raise InvalidName(f"A name has 1 to {LONGEST_NAME} characters.")
    if not shown.isprintable():
        raise InvalidName("A name has printable characters only.")
    if RESERVED & set(shown):
        raise InvalidName("A name has neither colons nor parentheses.", "The audit trail names others with them.")
    return shown


def _key(name: str) -> str:
    """What is unique about a name. Any text has one; what nobody can be called is cut."""
    folded = unicodedata.normalize("NFKC", name[:1024]).strip().casefold()
    return unicodedata.normalize("NFKC", folded)


def _by_key(session: Session, key: str) -> OperatorRow | None:
    if not key.isprintable():
        return None
    return session.scalars(select(OperatorRow).where(OperatorRow.name_key == key)).first()


def _operator(row: OperatorRow) -> Operator:
    return Operator(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        enabled=row.enabled,
        session_epoch=row.session_epoch,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
    )
