"""How often a sign-in may be tried, shared by all processes through the database.

Failures of the last hour count, in three ways:

    account from one address   5 free, then 15 s, 30 s, 1 min ... up to 15 min after each failure
    one address, any account   30 within 15 min
    one account, any address   50 within 1 h, except from addresses where it signed in within 30 days

So one attacker tries an account some 15 times an hour and no more, and can keep its operator out at
their own address no longer than 15 min, from elsewhere not at all. Many attackers together can use
up an account's 50, which holds up the operator at addresses that are new to the account only (the
idea of OWASP's device cookies). An IPv6 address stands for its /64: that is what one customer gets.

An attempt is counted before its password is checked and taken back when it was right, so that
parallel attempts do not all pass. Names that do not exist are counted like those that do. Refused
attempts are not counted: waiting always helps.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.orm import Session

from dashboard.store.errors import StoreError
from dashboard.store.schema import SignInRow

FREE = 5
FIRST_DELAY = 15.0
LONGEST_DELAY = 900.0
WINDOW = 3600.0
ADDRESS_LIMIT, ADDRESS_WINDOW = 30, 900.0
ACCOUNT_LIMIT, ACCOUNT_WINDOW = 50, WINDOW
KNOWN_SECONDS = 30 * 86400.0


class Throttled(StoreError):
    """Too many failures; `retry_after` seconds from now one may try again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"Too many failed sign-ins. Try again in {_spoken(retry_after)}.")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Place:
    """Which account is tried, from where; `account` is a digest, `address` a network in the above sense."""

    account: str
    address: str


def place(name_key: str, address: str) -> Place:
    """`address` may be anything, such as the name of a socket; what is no IP address stands for itself."""
    digest = hashlib.sha256(name_key.encode("utf-8", "surrogatepass")).hexdigest()
    return Place(digest, _network(address))


def place_of_tokens(address: str) -> Place:
    """Where a wrong token of the API comes from. Counted apart: a broken script keeps nobody from signing in."""
    apart = f"api {_network(address)}"[:64]
    return Place(hashlib.sha256(apart.encode()).hexdigest(), apart)


def reserve(session: Session, where: Place, now: float) -> None:
    """Count an attempt as failed before it is tried. Raises Throttled if it may not be tried.

    The session must hold the lock `sign_in`.
    """
    _prune(session, now)
    wait = max(_wait_at_place(session, where, now), _wait_of_address(session, where, now))
    if wait <= 0 and not _is_known(session, where):
        wait = _wait_of_account(session, where, now)
    if wait > 0:
        raise Throttled(wait)
    session.add(SignInRow(account=where.account, address=where.address, at=now, succeeded=False))


def succeeded(session: Session, where: Place, now: float) -> None:
    """Forget what failed at this place, and remember it as known."""
    session.execute(delete(SignInRow).where(*_at(where)))
    session.add(SignInRow(account=where.account, address=where.address, at=now, succeeded=True))


def _wait_at_place(session: Session, where: Place, now: float) -> float:
    failures = _failures(session, now - WINDOW, *_at(where))
    if len(failures) < FREE:
        return 0.0
    delay = FIRST_DELAY * 2.0 ** min(len(failures) - FREE, 30)
    return failures[0] + min(delay, LONGEST_DELAY) - now


def _wait_of_address(session: Session, where: Place, now: float) -> float:
    failures = _failures(session, now - ADDRESS_WINDOW, SignInRow.address == where.address)
    return _until_under(ADDRESS_LIMIT, ADDRESS_WINDOW, failures, now)


def _wait_of_account(session: Session, where: Place, now: float) -> float:
    failures = _failures(session, now - ACCOUNT_WINDOW, SignInRow.account == where.account)
    return _until_under(ACCOUNT_LIMIT, ACCOUNT_WINDOW, failures, now)


def _until_under(limit: int, window: float, failures: list[float], now: float) -> float:
    """Seconds until the limit's oldest failure has left the window; `failures` newest first."""
    return failures[limit - 1] + window - now if len(failures) >= limit else 0.0


def _failures(session: Session, since: float, *conditions: ColumnElement[bool]) -> list[float]:
    rows = select(SignInRow.at).where(SignInRow.succeeded.is_(False), SignInRow.at > since)
    return list(session.scalars(rows.where(*conditions).order_by(SignInRow.at.desc())))


def _is_known(session: Session, where: Place) -> bool:
    rows = select(SignInRow.id).where(*_at(where), SignInRow.succeeded.is_(True))
    return session.scalars(rows.limit(1)).first() is not None


def _at(where: Place) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SignInRow.account == where.account, SignInRow.address == where.address


def _prune(session: Session, now: float) -> None:
    """Drop what no longer counts; also what a clock that was set back would make count for too long."""
    failed, worked = SignInRow.succeeded.is_(False), SignInRow.succeeded.is_(True)
    session.execute(
        delete(SignInRow).where(
            or_(
                and_(failed, or_(SignInRow.at <= now - WINDOW, SignInRow.at > now + WINDOW)),
                and_(worked, SignInRow.at <= now - KNOWN_SECONDS),
            )
        )
    )


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address.replace("\0", "")[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return str(ip)


def _spoken(seconds: float) -> str:
    if seconds <= 90:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min"
