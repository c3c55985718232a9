"""Reading keys for an export: first how large each is, then those that are small enough, about 1 MB at a time.

By a script, which sees each key at one moment (export.lua); by commands where scripts are not allowed: a key that is
changed between two of them is looked at once more. Nothing is read whose size is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from dashboard.cache.errors import Denied, ServerError, WrongType
from dashboard.cache.exporting.lines import Counts, of_dump, of_left_out, of_value
from dashboard.cache.exporting.looking import (
    CHANGES,
    MEMBERS_MOST,
    VALUE_BYTES,
    Look,
    Looked,
    look,
    problem_of,
    refusal_of,
)
from dashboard.cache.reading.keeping import Keeping, Read
from dashboard.cache.servers import scripts
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.refusals import sentence_of, served_elsewhere
from dashboard.cache.walking.governor import Budget, Rests
from dashboard.cache.walking.turns import A, Turns, Unanswered
from dashboard.cache.wording import size

DUMP_BYTES = 16 * 1024 * 1024  # a key that takes more memory is left out
CALL_BYTES = 1024 * 1024  # of one answer
CALL_KEYS = 1_000
NOT_TOLD = "How large it is cannot be told: Cachedeck's user may not run MEMORY USAGE."
_TOO_LARGE = f"It takes more than {size(DUMP_BYTES)} of memory."

_READS: dict[str, tuple[bytes, tuple[bytes, ...]]] = {
    "string": (b"GET", ()),
    "list": (b"LRANGE", (b"0", b"-1")),
    "hash": (b"HGETALL", ()),
    "set": (b"SMEMBERS", ()),
    "zset": (b"ZRANGE", (b"0", b"-1", b"WITHSCORES")),
    "stream": (b"XRANGE", (b"-", b"+")),
}
_SCRIPT = scripts.load("servers/clock.lua", "exporting/export.lua")
_GONE, _VALUE, _DUMP, _LARGE = 0, 1, 2, 3


class Lines(NamedTuple):
    """What some keys came to."""

    lines: tuple[str, ...]
    counts: Counts


@dataclass
class _Read:
    """What one call of the script has read."""

    handled: int
    lines: Lines
    elsewhere: list[bytes]
    held: float | None = None


@dataclass
class _Values:
    handled: int
    replies: list[Any] = field(default_factory=list)
    held: float | None = None


class Reader:
    """Reads keys of one cache, taking turns with the walk that finds them.

    dump: every key by DUMP. Raises Denied where that is not allowed, or how large keys are may not be asked.
    """

    def __init__(self, cache: Cache, budget: Budget, *, dump: bool) -> None:
        self._cache = cache
        self._dump = dump
        self._turns = Turns(cache, budget)
        needed = {"DUMP": "no key can be exported as one", "MEMORY USAGE": "how large keys are cannot be told"}
        denied = [command for command in needed if not cache.capabilities().can(command)]
        if dump and denied:
            sentence = f"Cachedeck's user on {cache.name} may not run {denied[0]}, so {needed[denied[0]]}."
            raise Denied(sentence, denied[0])
        self._told = "MEMORY USAGE" not in denied
        self._keeping = None if denied else Keeping(cache, DUMP_BYTES)
        self._script = next(
            (name for name in ("EVAL_RO", "EVAL") if self._keeping and cache.capabilities().can(name)), ""
        )

    @property
    def rests(self) -> Rests:
        return self._turns.rests

    @property
    def turns(self) -> Turns:
        return self._turns

    def read(self, node: Node, keys: Sequence[bytes]) -> Iterator[Lines]:
        """Lines of keys of one primary, some at a time. Raises CacheError."""
        rest = keys
        while rest and self._script:
            part = rest[: min(max(self._turns.governor(node, "script").count, 1), CALL_KEYS)]
            try:
                read = self._ask(node, part[0], "script", partial(self._by_script, part))
            except (ServerError, Denied):
                self._script = ""  # it takes no such script (any more)
                break
            rest = rest[max(read.handled, 1) :]
            yield read.lines
            if read.elsewhere:
                yield from self._once_more(read.elsewhere)
        if rest:
            yield from self._by_commands(node, rest)

    def _once_more(self, keys: Sequence[bytes]) -> Iterator[Lines]:
        """Of whoever serves them by now; a pipeline is sent on where a slot is on its way."""
        self._cache.primaries(fresh=True)
        changing: list[bytes] = []
        for node, of_node in self._cache.group(keys).values():
            yield from self._read(node, of_node, changing)
        if changing:
            yield _left(((key, "", -1) for key in changing), CHANGES)

    def _by_script(self, keys: Sequence[bytes], node: Node) -> _Read:
        options = (CALL_BYTES, VALUE_BYTES, MEMBERS_MOST, DUMP_BYTES, int(self._dump))
        handled, found, took = self._cache.execute(self._script, _SCRIPT, 0, *options, *keys, node=node)
        lines, counts = [], Counts()
        elsewhere: list[bytes] = []
        for place, key in enumerate(keys[:handled]):
            kind, pttl, how, what = found[4 * place : 4 * place + 4]
            kind = kind.decode("ascii", "replace")
            if how == _GONE:
                counts = counts.plus(gone=1)
            elif how == _VALUE:
                lines.append(of_value(key, kind, pttl, what))
                counts = counts.plus(keys=1)
            elif how == _DUMP:
                lines.append(of_dump(key, kind, pttl, what))
                counts = counts.plus(keys=1, dumps=1)
            elif how != _LARGE and served_elsewhere(what):
                elsewhere.append(key)
            else:
                why = _TOO_LARGE if how == _LARGE else sentence_of(what, self._cache.name)
                lines.append(of_left_out(key, kind, pttl, why))
                counts = counts.plus(keys=1, left_out=1)
        return _Read(handled, Lines(tuple(lines), counts), elsewhere, scripts.held(took))

    def _by_commands(self, node: Node, keys: Sequence[bytes]) -> Iterator[Lines]:
        again: list[bytes] = []
        yield from self._read(node, keys, again)
        if again:
            yield from self._once_more(again)

    def _read(self, node: Node, keys: Sequence[bytes], again: list[bytes]) -> Iterator[Lines]:
        governor = self._turns.governor(node, "look")
        rest = keys
        while rest:
            part = rest[: min(max(governor.count, 1), CALL_KEYS)]
            rest = rest[len(part) :]
            looked = self._ask(node, part[0], "look", partial(self._look, part))
            again += looked.elsewhere
            gone = len(part) - len(looked.found) - len(looked.refused) - len(looked.elsewhere)
            lines = [of_left_out(key, "", -1, why) for key, why in looked.refused]
            yield Lines(tuple(lines), Counts(keys=len(lines), left_out=len(lines), gone=gone))
            small = [] if self._dump else [one for one in looked.found if one.size is not None]
            large = looked.found if self._dump else [one for one in looked.found if one.size is None]
            yield from self._values(node, small, again)
            yield from self._dumps(node, large)

    def _look(self, keys: Sequence[bytes], node: Node) -> Looked:
        return look(self._cache, node, keys, measured=not self._dump, told=self._told)

    # --- what each key holds -------------------------------------------------------------------------------

    def _values(self, node: Node, looks: Sequence[Look], again: list[bytes]) -> Iterator[Lines]:
        governor = self._turns.governor(node, "value")
        rest = looks
        while rest:
            part = _portion(rest, min(max(governor.count, 1), CALL_KEYS))
            rest = rest[len(part) :]
            read = self._ask(node, part[0].key, "value", partial(self._whole, part))
            lines, counts = [], Counts()
            for one, reply in zip(part, read.replies, strict=True):
                problem = problem_of(reply, self._cache.name)
                if isinstance(problem, WrongType) or (problem is not None and served_elsewhere(reply)):
                    again.append(one.key)
                elif problem is not None:
                    lines.append(of_left_out(one.key, one.kind, one.pttl, refusal_of(problem, self._cache.name)))
                    counts = counts.plus(keys=1, left_out=1)
                elif reply is None or reply == []:
                    counts = counts.plus(gone=1)
                else:
                    lines.append(of_value(one.key, one.kind, one.pttl, reply))
                    counts = counts.plus(keys=1)
            yield Lines(tuple(lines), counts)

    def _whole(self, looks: Sequence[Look], node: Node) -> _Values:
        # Names as bytes: redis-py makes tables of what it knows as text, and loses a stream's repeated fields.
        commands = []
        for one in looks:
            name, options = _READS[one.kind]
            commands.append((name, one.key, *options))
        return _Values(len(looks), self._cache.pipeline(node, commands))

    def _dumps(self, node: Node, looks: Sequence[Look]) -> Iterator[Lines]:
        """As the server writes them down, for what is too large or of a module's type; or because it was asked for."""
        unknown = [one for one in looks if one.unknown]
        if unknown:
            yield _left(((one.key, one.kind, one.pttl) for one in unknown), NOT_TOLD)
        rest = [one for one in looks if not one.unknown]
        if rest and self._keeping is None:
            why = f"It takes more than {size(VALUE_BYTES)} or is of a module's type, and may not be read by DUMP."
            yield _left(((one.key, one.kind, one.pttl) for one in rest), why)
            return
        while rest:
            governor = self._turns.governor(node, "dump")
            part = rest[: min(max(governor.count, 1), CALL_KEYS)]
            read = self._ask(node, part[0].key, "dump", partial(self._kept, [one.key for one in part]))
            yield _dumped(part[: read.handled], read)
            yield from (self._dump_of(one) for one in part[: read.handled] if one.key in read.elsewhere)
            rest = rest[max(read.handled, 1) :]

    def _dump_of(self, one: Look) -> Lines:
        """Of a key whose slot is on its way: sent on to where it is by now."""
        node = self._cache.node_of(one.key)
        memory = self._cache.pipeline(node, [(b"MEMORY", b"USAGE", one.key)])[0]
        if memory is None:
            return Lines((), Counts(gone=1))
        if isinstance(memory, int) and memory > DUMP_BYTES:
            return _left(iter([(one.key, one.kind, one.pttl)]), _TOO_LARGE)
        dump = memory if isinstance(memory, Exception) else self._cache.pipeline(node, [(b"DUMP", one.key)])[0]
        if isinstance(dump, Exception):
            return _left(iter([(one.key, one.kind, one.pttl)]), refusal_of(dump, self._cache.name))
        if dump is None:
            return Lines((), Counts(gone=1))
        return Lines((of_dump(one.key, one.kind, one.pttl, dump),), Counts(keys=1, dumps=1))

    def _kept(self, keys: Sequence[bytes], node: Node) -> Read:
        assert self._keeping is not None  # noqa: S101  (narrows the type: it is asked for before)
        return self._keeping.read(node, keys)

    # --- asking --------------------------------------------------------------------------------------------

    def _ask(self, node: Node, key: bytes, what: str, question: Callable[[Node], A]) -> A:
        """When the server has rested; asked again for a while where what goes wrong may pass. Raises CacheError."""
        governor = self._turns.governor(node, what)
        for _ in self._turns.rest(governor):
            pass
        steps = self._turns.ask(node, key, governor, question)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                answer: A = end.value[0]
                return answer
            except Unanswered as failure:
                raise failure.error from failure


def _portion(looks: Sequence[Look], most: int) -> Sequence[Look]:
    """The first of them: so many at most, and about CALL_BYTES."""
    total = 0
    for place, one in enumerate(looks[:most]):
        total += one.size or 0
        if total >= CALL_BYTES:
            return looks[: place + 1]
    return looks[:most]


def _dumped(looks: Sequence[Look], read: Read) -> Lines:
    kinds = {one.key: one.kind for one in looks}
    lines = [of_dump(kept.key, kinds[kept.key], kept.pttl, kept.dump) for kept in read.kept]
    counts = Counts(keys=len(lines), dumps=len(lines), gone=read.gone)
    pttls = {one.key: one.pttl for one in looks}
    for keys, why in ((read.too_large, _TOO_LARGE), (read.refused, read.refusal)):
        more = _left(((key, kinds[key], pttls[key]) for key in keys), why)
        lines += more.lines
        counts = counts.plus(**more.counts.to_plain())
    return Lines(tuple(lines), counts)


def _left(keys: Iterator[tuple[bytes, str, int]], why: str) -> Lines:
    lines = tuple(of_left_out(key, kind, pttl, why) for key, kind, pttl in keys)
    return Lines(lines, Counts(keys=len(lines), left_out=len(lines)))
