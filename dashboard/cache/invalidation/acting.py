"""Acting on keys of an invalidation, a batch at a time: removing them, or lowering their TTLs.

By UNLINK alone where nothing else is to be known of a key; else by a script, which judges each key in the moment in
which it changes it; by plain commands where scripts are not allowed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from dashboard.cache.errors import Denied, ServerError, checked
from dashboard.cache.invalidation.acted import PARTS, Acted
from dashboard.cache.invalidation.acting_plain import act_by_commands, remove_one_by_one, sent_with
from dashboard.cache.invalidation.mode import Gently, Stale
from dashboard.cache.invalidation.task import Task
from dashboard.cache.servers import scripts
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.refusals import error_of, sentence_of

BY_SCRIPT = "a script on the server, atomic for each key"
BY_COMMANDS = "plain commands, because scripts are not allowed; what is written at the same moment may be lost"

TOGETHER = 200
"""Keys of one command within a script: its stack holds some thousand. In a cluster one: after a command of a script
about keys of two slots Valkey 9.1 refuses every key to every script, until it is started again."""

_SCRIPT = scripts.load("servers/clock.lua", "walking/judge.lua", "invalidation/act.lua")


class Acting:
    """Does to keys of one cache what a task says. Raises Denied where a command that it needs is denied."""

    def __init__(self, cache: Cache, task: Task) -> None:
        self._cache = cache
        self._task = task
        capabilities = cache.capabilities()
        self._verb = "UNLINK" if capabilities.can("UNLINK") else "DEL"
        needed = ["PEXPIRE"] if task.lowers else [self._verb]
        needed += ["PTTL"] if task.lowers or task.selection.ttl else []
        needed += ["MEMORY USAGE"] if task.selection.size else []
        needed += ["TYPE"] if task.selection.type else []
        for command in needed:
            if not capabilities.can(command):
                raise Denied(f"Cachedeck's user on {cache.name} may not run {command}.", command)
        self._script = capabilities.can("EVAL")
        self._clustered = cache.target.kind == "cluster" or capabilities.mode == "cluster"
        self._together = 1 if self._clustered else TOGETHER
        conditions = task.selection.type or task.selection.ttl or task.selection.size
        self._simple = not (task.lowers or task.vault or conditions)

    @property
    def method(self) -> str:
        if self._simple:
            return self._verb
        return BY_SCRIPT if self._script else BY_COMMANDS

    def act(
        self, node: Node, keys: Sequence[bytes], checksums: Sequence[bytes] | None = None, *, follow: bool = False
    ) -> Acted:
        """What `keys` are to suffer. One round trip (without scripts up to three). checksums: of what was kept of each.

        follow: by plain commands, which are sent on to where a slot is just now, on its way from one server to another.
        Raises CacheError: nothing was done then, unless it is that no answer came.
        """
        if self._simple:
            return self._unlink(node, keys)
        if self._script and not follow:
            try:
                return self._by_script(node, keys, checksums)
            except (ServerError, Denied):
                self._script = False  # it takes no such script (any more), and says so before it has done anything
        return act_by_commands(self._cache, node, self._task, self._verb, keys, checksums)

    def _unlink(self, node: Node, keys: Sequence[bytes]) -> Acted:
        if not self._clustered:
            try:
                removed = int(checked(sent_with(self._cache, node, (self._verb,), keys), self._cache.name))
            except Denied as error:
                if error.command:
                    raise
            else:
                return Acted(len(keys), done=removed, gone=len(keys) - removed)
        # Keys of several slots, or one that is forbidden among others: each is a command of its own.
        return remove_one_by_one(self._cache, node, self._verb, keys)

    def _by_script(self, node: Node, keys: Sequence[bytes], checksums: Sequence[bytes] | None) -> Acted:
        command = ("EVAL", _SCRIPT, 0, *self._arguments(b"".join(checksums or ())))
        reply = checked(sent_with(self._cache, node, command, keys), self._cache.name)
        done, unchanged, gone, changed, refused, elsewhere, refusal, *ending, expiry, left, dealt, took = reply
        ended_by, ended = ending
        return Acted(
            dealt,
            done=done,
            unchanged=unchanged,
            gone=gone,
            changed=[keys[place] for place in changed],
            refused=[keys[place] for place in refused],
            elsewhere=[keys[place] for place in elsewhere],
            left=[keys[place] for place in left],
            refusal=sentence_of(refusal, self._cache.name) if refusal else "",
            error=error_of(ended_by.decode(), ended, self._cache.name) if ended else None,
            expiry=dict(zip(expiry[::2], expiry[1::2], strict=True)),
            held=scripts.held(took),
        )

    def _arguments(self, checksums: bytes) -> list[Any]:
        mode, selection = self._task.mode, self._task.selection
        low, high = mode.bounds_ms if isinstance(mode, Gently | Stale) else (0, 0)
        verb = "lower" if self._task.lowers else self._verb
        bounds = (*selection.ttl_bounds, *selection.size_bounds)
        return [
            verb,
            low,
            high,
            secrets.randbits(31),
            *bounds,
            round(time.time() * 1000),
            PARTS,
            checksums,
            self._together,
            selection.type,
        ]
