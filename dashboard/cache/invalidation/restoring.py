"""Giving keys back to a server, a batch at a time: by a script, or by plain commands where scripts are not allowed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.cache.errors import CacheError, Denied, ServerError, WrongType, checked, translate
from dashboard.cache.invalidation.acting_plain import sent_once
from dashboard.cache.reading.keeping import Kept
from dashboard.cache.servers import scripts
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.refusals import error_of, of_one_key, sentence_of, served_elsewhere
from dashboard.cache.walking.filtering import seconds_of

SAME_MS = 1000  # as in restore.lua
_SCRIPT = scripts.load("servers/clock.lua", "walking/judge.lua", "invalidation/restore.lua")
# What hinders each key of its own is said by a server as an ordinary error.
_OF_ONE_KEY = (ServerError, WrongType)


@dataclass
class Given:
    """What one call gave back. same: are as the vault has them. refused: with why. elsewhere: are not served there.

    error: what ended it early. handled: keys that stand in one of these counts.
    """

    handled: int
    restored: int = 0
    retimed: int = 0
    newer: list[bytes] = field(default_factory=list)
    expired: int = 0
    same: int = 0
    refused: list[tuple[bytes, str]] = field(default_factory=list)
    elsewhere: list[bytes] = field(default_factory=list)
    error: CacheError | None = None
    held: float | None = None


class Restoring:
    """lowered: TTLs were lowered, so that keys may be there still. Raises Denied where RESTORE is."""

    def __init__(self, cache: Cache, *, lowered: bool) -> None:
        self._cache = cache
        self._lowered = lowered
        capabilities = cache.capabilities()
        if not capabilities.can("RESTORE"):
            raise Denied(
                f"Cachedeck's user on {cache.name} may not run RESTORE, so nothing can be given back.", "RESTORE"
            )
        self._script = capabilities.can("EVAL")

    def give(self, node: Node, records: Sequence[Kept], *, follow: bool = False) -> Given:
        """One round trip; without scripts up to four. Raises CacheError.

        follow: by plain commands, which are sent on to where a slot is just now, on its way from one server to another.
        """
        if self._script and not follow:
            try:
                return self._by_script(node, records)
            except (ServerError, Denied):
                self._script = False  # it takes no such script (any more)
        return self._by_commands(node, records)

    def _by_script(self, node: Node, records: Sequence[Kept]) -> Given:
        words: list[Any] = [int(self._lowered), round(time.time() * 1000)]
        for record in records:
            words += [record.key, record.expires_at, record.dump]
        (reply,) = sent_once(self._cache, node, [("EVAL", _SCRIPT, 0, *words)])
        told = checked(reply, self._cache.name)
        restored, retimed, newer, expired, same, refused, elsewhere, ended_by, ended, handled, took = told
        return Given(
            handled,
            restored,
            retimed,
            [records[place].key for place in newer],
            expired,
            same,
            [
                (records[place].key, _why(sentence_of(why, self._cache.name), self._cache.name))
                for place, why in zip(refused[::2], refused[1::2], strict=True)
            ],
            [records[place].key for place in elsewhere],
            error_of(ended_by.decode(), ended, self._cache.name) if ended else None,
            scripts.held(took),
        )

    def _by_commands(self, node: Node, records: Sequence[Kept]) -> Given:
        """Whether a key exists is judged by RESTORE itself, in one moment with making it."""
        given = Given(len(records))
        (clock,) = self._cache.pipeline(node, [("TIME",)])
        now = round((time.time() if isinstance(clock, Exception) else seconds_of(clock)) * 1000)
        live = [record for record in records if record.pttl < 0 or record.expires_at > now]
        given.expired = len(records) - len(live)
        words = [("RESTORE", one.key, max(one.expires_at, 0), one.dump, "ABSTTL") for one in live]
        there = []
        for record, reply in zip(live, sent_once(self._cache, node, words) if words else [], strict=True):
            if not isinstance(reply, Exception):
                given.restored += 1
            elif "BUSYKEY" in str(reply):
                there.append(record)
            else:
                self._refuse(given, record.key, reply)
        if there:
            self._meet(node, there, now, given)
        return given

    def _meet(self, node: Node, records: Sequence[Kept], now: int, given: Given) -> None:
        words = [words for one in records for words in (("DUMP", one.key), ("PTTL", one.key))]
        told = self._cache.pipeline(node, words)
        late: list[tuple[Kept, tuple[Any, ...]]] = []
        for record, dump, pttl in zip(records, told[::2], told[1::2], strict=True):
            if not isinstance(dump, bytes) or dump[-8:] != record.checksum or not isinstance(pttl, int):
                given.newer.append(record.key)
                continue
            expires = -1 if pttl == -1 else now + pttl
            if expires == record.expires_at or (-1 not in (expires, record.expires_at) and self._near(expires, record)):
                given.same += 1
            elif self._lowered and expires != -1 and (record.pttl < 0 or expires < record.expires_at):
                words_of = ("PERSIST", record.key) if record.pttl < 0 else ("PEXPIREAT", record.key, record.expires_at)
                late.append((record, words_of))
            else:
                given.newer.append(record.key)
        replies = sent_once(self._cache, node, [words_of for _, words_of in late]) if late else []
        for (record, _), reply in zip(late, replies, strict=True):
            if isinstance(reply, Exception):
                self._refuse(given, record.key, reply)
            else:
                given.retimed += 1

    def _near(self, expires: int, record: Kept) -> bool:
        return abs(expires - record.expires_at) <= SAME_MS

    def _refuse(self, given: Given, key: bytes, reply: Exception) -> None:
        problem = reply if isinstance(reply, CacheError) else translate(reply, self._cache.name)
        if served_elsewhere(reply):
            given.elsewhere.append(key)
        elif (isinstance(problem, _OF_ONE_KEY) and "NOREPLICAS" not in problem.sentence) or of_one_key(problem):
            given.refused.append((key, _why(problem.sentence, self._cache.name)))
        else:
            given.error = given.error or problem
            given.handled -= 1


def _why(sentence: str, name: str) -> str:
    """What a server's refusal of one key means, where that is known."""
    if "payload version or checksum" in sentence:
        return f"{name} cannot read what the vault has: it is damaged, or of a newer version of the server."
    if "Bad data format" in sentence:
        return f"{name} cannot read what the vault has: it is of a type that it does not know, such as a module's."
    return sentence
