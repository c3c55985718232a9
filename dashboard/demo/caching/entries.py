"""How a document lies in the cache, and who may put it there.

An entry is a hash under its key: `document` (encoding.py), `version` (a whole number, absent where the document has
none), `took` (ms that reading it from the database took). One key, so that eviction takes all of it or nothing.
Beside it lies, for seconds at most, a string: the lease, the token of whoever fills the entry now.

Whoever finds nothing takes the lease, reads the database and fills. Who changes a row removes entry and lease. So a
reader that was slow, and holds what was read before the change, finds its lease gone and is refused. A lease that is
evicted or has ended refuses as well: what is missing never lets an old document in. (Nishtala et al., "Scaling
Memcache at Facebook", NSDI 2013, section 3.2.1.) What is left of an entry's life is PTTL, by the server's clock, so
that the clocks of the shop's processes may differ.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.demo.caching.lua import lua
from dashboard.demo.caching.remote import Remote
from dashboard.demo.encoding import Document, decode, encode
from dashboard.demo.keyspace import Keyspace

LEASE_SECONDS = 5.0  # longer than any load should take; after its owner's death nobody fills for so long


@dataclass(frozen=True)
class Pending:
    """The newest change of a row that the database has yet to get (write-behind): the version it makes, and the
    columns it sets."""

    version: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """What was found under a key. Times in seconds; `remaining` is infinite for an entry that never expires, and where
    it was not asked for.

    `leased`: the lease is ours now; `foreign`: something lies there that is not the shop's, or damaged: not `found`.
    `document` is None where nothing was found, and also where the entry says that there is no such row.
    """

    found: bool
    document: Document | None = None
    version: int | None = None
    took: float = 0.0
    remaining: float = math.inf
    leased: bool = False
    pending: Pending | None = None
    foreign: bool = False


def new_token() -> str:
    """A token for leases, which nobody else has."""
    return secrets.token_hex(8)


class Entries:
    """The entries of one cache. Every method is one round trip (a `look` at a damaged value two) and raises
    CacheTrouble. Seconds everywhere; ttl and lease_seconds to the millisecond."""

    def __init__(self, remote: Remote, keys: Keyspace, lease_seconds: float = LEASE_SECONDS) -> None:
        self._remote = remote
        self._keys = keys
        self._lease_ms = round(lease_seconds * 1000)
        self._look, self._fill, self._release, self._outdate = (
            remote.script(lua(name)) for name in ("look", "fill", "release", "outdate")
        )

    def look(self, key: str, token: str | None = None, *, pending: bool = False, remaining: bool = False) -> Look:
        """What lies under `key`. With a token: takes the lease where nothing does, or something foreign, unless
        somebody else has it. With `pending`: also which change the database has yet to get. With `remaining`: also
        how long the entry lives, which the server counts as a second look-up."""
        look = self._looked(key, token, pending, remaining, even_if_found=False)
        if look.foreign and token and not look.leased:
            # Damaged, which the server cannot see. (Or somebody else fills it already, and is not disturbed.)
            look = replace(look, leased=self.take(key, token).leased)
        return look

    def take(self, key: str, token: str, *, pending: bool = False) -> Look:
        """As `look`, but takes the lease also of an entry that is there, to refresh it early: see `leased`."""
        return self._looked(key, token, pending, remaining=True, even_if_found=True)

    def claim(self, key: str, token: str) -> None:
        """Take the lease away from whoever has it: for a writer, whose row is newer than what readers are loading."""
        self._remote.ask(lambda client: client.set(self._keys.lease(key), token, px=self._lease_ms))

    def fill(self, key: str, token: str, document: Document | None, ttl: float, took: float) -> bool:
        """Put a document under `key`, in place of anything, and end the lease; False, and nothing is put, where the
        lease is not ours any more or a newer version lies there. The document must have been read after the lease
        was taken."""
        version = version_of(document)
        written = "" if version is None else version
        arguments = (token, _ms(ttl), encode(document), f"{took * 1000:.3f}", written)
        return bool(self._fill(self._names(key), arguments))

    def release(self, key: str, token: str) -> None:
        """End the lease if it is ours, so that somebody else need not wait for its end."""
        self._release([self._keys.lease(key)], [token])

    def forget(self, keys: Sequence[str]) -> None:
        """Remove entries and leases."""
        names = [name for key in keys for name in self._names(key)]
        if names:
            self._remote.ask(lambda client: client.unlink(*names))

    def outdate(self, changes: Sequence[tuple[str, int | None]]) -> int:
        """Of each (key, version), forget the entry if it is older than that or has no version, or if no version is
        given; how many entries were removed. Where nothing lies, the lease ends: what is being loaded may be older."""
        names = [name for key, _ in changes for name in self._names(key)]
        return int(self._outdate(names, ["" if version is None else version for _, version in changes]))

    def _names(self, key: str) -> list[str]:
        return [key, self._keys.lease(key)]

    def _looked(self, key: str, token: str | None, pending: bool, remaining: bool, *, even_if_found: bool) -> Look:
        names = self._names(key) + ([self._keys.pending(key)] if pending else [])
        answer = self._look(names, [token or "", self._lease_ms, int(even_if_found), int(remaining)])
        document, version, took, remaining_ms, leased, foreign, *change = answer
        rest = Look(found=False, leased=bool(leased), foreign=bool(foreign), pending=_pending(*change))
        if document is None:
            return rest
        try:
            return replace(
                rest,
                found=True,
                document=decode(document),
                version=None if version is None else int(version),
                took=max(0.0, float(took or 0)) / 1000,
                remaining=math.inf if remaining_ms is None or remaining_ms < 0 else remaining_ms / 1000,
            )
        except ValueError:  # Undecodable, or a number that is none
            return replace(rest, foreign=True)


def version_of(document: Document | None) -> int | None:
    """The version that a document carries; None for those that have none, and for absent rows."""
    version = document.get("version") if document else None
    return version if isinstance(version, int) else None


def _pending(version: bytes | None, values: bytes | None) -> Pending | None:
    if version is None or values is None:
        return None
    try:
        found = json.loads(values)
        return Pending(int(version), found) if isinstance(found, dict) else None
    except ValueError:
        return None


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
