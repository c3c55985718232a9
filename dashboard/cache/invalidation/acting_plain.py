"""Acting on keys by plain commands. A key is judged by one pipeline and changed by the next, so what is written between
the two is lost with it; the script of acting.py has no such gap."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from dashboard.cache.errors import CacheError, checked, translate
from dashboard.cache.invalidation.acted import PARTS, Acted
from dashboard.cache.invalidation.mode import Gently, Stale
from dashboard.cache.invalidation.task import Task
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import packed
from dashboard.cache.servers.refusals import of_one_key, served_elsewhere
from dashboard.cache.walking.filtering import name_of, seconds_of


def sent_once(cache: Cache, node: Node, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """The replies to commands that change keys; an error stands in the list as an exception. One round trip.

    What redis-py sends for a single server it sends a second time where the connection dies before the answer: what the
    first has removed would then be taken for gone by itself.
    """
    if cache.target.kind == "cluster":
        return cache.pipeline(node, commands)
    return packed(cache, node, [tuple(command) for command in commands])


def sent_with(cache: Cache, node: Node, command: Sequence[Any], words: Sequence[bytes]) -> Any:
    """As sent_once, of one command that ends with these words, a thousand keys perhaps. Its reply."""
    if cache.target.kind == "cluster":
        (reply,) = cache.pipeline(node, [(*command, *words)])
    else:
        (reply,) = packed(cache, node, [tuple(command)], words)
    return reply


def remove_one_by_one(cache: Cache, node: Node, verb: str, keys: Sequence[bytes]) -> Acted:
    """Each by a command of its own. One round trip, and one more for each key whose slot has moved."""
    acted = Acted(len(keys))
    for key, reply in zip(keys, sent_once(cache, node, [(verb, key) for key in keys]), strict=True):
        _count(cache, acted, key, reply)
    return acted


def act_by_commands(
    cache: Cache,
    node: Node,
    task: Task,
    verb: str,
    keys: Sequence[bytes],
    checksums: Sequence[bytes] | None,
) -> Acted:
    """As Acting.act, in up to three round trips. Raises CacheError as long as nothing was changed."""
    acted = Acted(len(keys))
    pttls = _judged(cache, node, task, keys, acted)
    wanted = list(pttls)
    if checksums is not None and wanted:
        of_key = dict(zip(keys, checksums, strict=True))
        wanted = _unchanged(cache, node, wanted, of_key, acted)
    if isinstance(task.mode, Gently | Stale):
        _lower(cache, node, task.mode.bounds_ms, [(key, pttls[key]) for key in wanted], acted)
    elif wanted:
        for key, reply in zip(wanted, sent_once(cache, node, [(verb, key) for key in wanted]), strict=True):
            _count(cache, acted, key, reply)
    return acted


def _judged(cache: Cache, node: Node, task: Task, keys: Sequence[bytes], acted: Acted) -> dict[bytes, int]:
    """The TTLs in ms of those keys that meet the conditions; the others are counted as gone."""
    selection = task.selection
    words: list[tuple[Any, ...]] = [("PTTL", key) for key in keys]
    if selection.size:
        words += [("MEMORY", "USAGE", key) for key in keys]
    if selection.type:
        words += [("TYPE", key) for key in keys]
    *told, clock = cache.pipeline(node, [*words, ("TIME",)])
    if isinstance(clock, Exception) and selection.at_instant:
        checked(clock, cache.name)
    now = time.time() if isinstance(clock, Exception) else seconds_of(clock)
    answers = iter(told)
    pttls = [next(answers) for _ in keys]
    sizes = [next(answers) if selection.size else 0 for _ in keys]
    kinds = [next(answers) if selection.type else "" for _ in keys]
    found = {}
    for key, pttl, size, kind in zip(keys, pttls, sizes, kinds, strict=True):
        bad = next((one for one in (pttl, size, kind) if isinstance(one, Exception)), None)
        if bad is not None:
            _refuse(cache, acted, key, bad, raises=True)
        elif (
            size is not None
            and selection.takes_ttl(pttl, now)
            and selection.takes_size(int(size))
            and selection.takes_type(name_of(kind))
        ):
            found[key] = int(pttl)
        else:
            acted.gone += 1
            acted.left.append(key)
    return found


def _unchanged(cache: Cache, node: Node, keys: list[bytes], checksums: dict[bytes, bytes], acted: Acted) -> list[bytes]:
    found = []
    for key, dump in zip(keys, cache.pipeline(node, [("DUMP", key) for key in keys]), strict=True):
        if isinstance(dump, Exception):
            _refuse(cache, acted, key, dump, raises=True)
        elif dump is None:
            acted.gone += 1
            acted.left.append(key)
        elif dump[-8:] == checksums[key]:
            found.append(key)
        else:
            acted.changed.append(key)
    return found


def _lower(cache: Cache, node: Node, bounds: tuple[int, int], keys: list[tuple[bytes, int]], acted: Acted) -> None:
    low, high = bounds
    draw = secrets.SystemRandom().randint
    wanted = []
    for key, pttl in keys:
        new = draw(low, high)
        if pttl != -1 and pttl <= new:
            acted.unchanged += 1
            acted.left.append(key)
        else:
            wanted.append((key, new))
    replies = sent_once(cache, node, [("PEXPIRE", key, new) for key, new in wanted]) if wanted else []
    expiry: Counter[int] = Counter()
    for (key, new), reply in zip(wanted, replies, strict=True):
        if _count(cache, acted, key, reply):
            expiry[min(new * PARTS // max(high, 1), PARTS - 1)] += 1
    acted.expiry = expiry


def _count(cache: Cache, acted: Acted, key: bytes, reply: Any) -> bool:
    """Whether this key was changed."""
    if isinstance(reply, Exception):
        _refuse(cache, acted, key, reply, raises=False)
    elif int(reply):
        acted.done += 1
        return True
    else:
        acted.gone += 1
        acted.left.append(key)
    return False


def _refuse(cache: Cache, acted: Acted, key: bytes, reply: Exception, *, raises: bool) -> None:
    """Raises what concerns other keys too; after something was changed it is what ended the call."""
    if served_elsewhere(reply):
        acted.elsewhere.append(key)
        return
    problem = reply if isinstance(reply, CacheError) else translate(reply, cache.name)
    if not of_one_key(problem):
        if raises:
            raise problem
        acted.error = acted.error or problem
        acted.undone.append(key)
        return
    acted.refused.append(key)
    acted.refusal = acted.refusal or problem.sentence
