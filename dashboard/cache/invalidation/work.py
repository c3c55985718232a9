"""The work of an invalidation on a group of keys: keep them, wait until they are on the disk, act on them, note it.

In steps: each method that takes time is a generator which yields whenever somebody may look, or end it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dashboard.cache.errors import TooMany
from dashboard.cache.invalidation.acted import PARTS, Acted
from dashboard.cache.invalidation.acting import Acting
from dashboard.cache.invalidation.mode import Paced
from dashboard.cache.invalidation.standing import Standing
from dashboard.cache.invalidation.taking_up import Earlier, earlier
from dashboard.cache.invalidation.task import Task
from dashboard.cache.invalidation.telling import Telling
from dashboard.cache.reading.keeping import Keeping, Kept, Read, Safe
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.govern import Cost
from dashboard.cache.walking.governor import Governor, Rests
from dashboard.cache.walking.pacer import Pacer
from dashboard.cache.walking.position import Position
from dashboard.cache.walking.turns import Search, Steps, StepsTo, Turns, Unanswered, sleep

if TYPE_CHECKING:
    from dashboard.cache.invalidation.run import Options

FRAME_BYTES = 4 * 1024 * 1024  # of what is kept before it is written to the disk
MOST_AT_ONCE = 2_000  # keys of a call: so many are in doubt if its answer is lost
TRIES = 3  # to keep a key that is written to all the time, before it is left
_ALWAYS_WRITTEN = "It is written to all the time, so that what the vault has is never what it holds."
MOVED = (
    "Slots of the cluster have moved meanwhile, and keys that moved with them may have been missed. "
    "Another plan says whether any are left."
)
_TOO_LARGE = "It is larger than the vault takes."


@dataclass
class _Item:
    """Keys of one primary to be acted upon, of one frame of the vault or of none."""

    keys: Sequence[bytes]
    checksums: Sequence[bytes] | None = None
    memory: Sequence[int] = ()

    def part(self, which: slice) -> _Item:
        return _Item(self.keys[which], None if self.checksums is None else self.checksums[which], self.memory[which])

    def only(self, keys: Iterable[bytes]) -> _Item:
        wanted = set(keys)
        places = [place for place, key in enumerate(self.keys) if key in wanted]
        sums = None if self.checksums is None else [self.checksums[place] for place in places]
        memory = [self.memory[place] for place in places] if self.memory else ()
        return _Item([self.keys[place] for place in places], sums, memory)


@dataclass
class _Frame:
    """What is kept together."""

    records: list[Kept] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, read: Read) -> None:
        self.records += read.kept
        self.memory += read.memory
        self.size += sum([len(record[3]) for record in read.kept])

    @property
    def item(self) -> _Item:
        keys, _, _, dumps = zip(*self.records, strict=True)
        return _Item(keys, [dump[-8:] for dump in dumps], self.memory)


class Work:
    """What one invalidation does to keys. `standing`: where it stands."""

    def __init__(self, cache: Cache, task: Task, safe: Safe, options: Options) -> None:
        self._cache = cache
        self._task = task
        self._safe = safe
        self._options = options
        self._acting = Acting(cache, task)
        self._keeping = Keeping(cache, options.largest) if task.vault else None
        self._telling = Telling(cache, task, options.number)
        self._pacer = Pacer(task.mode.rate) if isinstance(task.mode, Paced) else None
        self._turns = Turns(cache, options.budget)
        self._began = time.monotonic()
        self._earlier = Earlier()
        self.notes: list[str] = []
        self.standing = Standing(started_at=time.time(), expiry=[0] * PARTS if task.lowers else [])

    @property
    def method(self) -> str:
        return self._acting.method

    @property
    def elapsed(self) -> float:
        """Seconds of work, those of earlier processes too."""
        return self._earlier.elapsed + time.monotonic() - self._began

    def cost(self, walked: Cost) -> Cost:
        """What was asked of servers so far: by the walk (of this process) and by the work."""
        return self._turns.cost(self._earlier.cost, walked)

    @property
    def rests(self) -> Rests:
        """When servers rest, for the walk that takes turns with this."""
        return self._turns.rests

    # --- beginning and end ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Raises CacheError where nothing could be published, before anything is touched."""
        self._telling.begin()

    def take_up(self) -> Steps:
        """Go on where the last note says that an earlier process has stood."""
        found = yield from earlier(self._cache, self._task, self._safe, self.standing)
        self.standing, self._earlier = found.standing, found
        self.standing.partition = self.standing.partition or self._cache.partition()
        self._note()

    def end(self) -> None:
        """There is nothing left to do."""
        if self._cache.partition() != self.standing.partition:
            self.notes.append(MOVED)
        self.standing.ended = True
        self._note()

    def stand_at(self, position: Position) -> None:
        """The walk has got on, and nothing was found."""
        self.standing.position = position

    def close(self) -> None:
        """Whatever ends this: say to the applications what is true by now."""
        if self.standing.counts.done:
            self._telling.end()
            self._told()
        self._note()

    # --- a group -------------------------------------------------------------------------------------------

    def do(self, group: Iterable[tuple[Node, Sequence[bytes]]], position: Position) -> Steps:
        """Deal with all keys of a group, after which the walk stands at `position`."""
        met: set[bytes] = set()  # a key whose slot moves is found on both sides
        for node, found in group:
            known = self._earlier.dealt_with
            keys = [key for key in dict.fromkeys(found) if key not in known and key not in met]
            met.update(keys)
            if self._keeping is not None:
                yield from self._keep_and_act(self._keeping, node, keys, TRIES)
            else:
                yield from self._act(node, _Item(keys))
        if self._earlier.remembered:
            self._earlier.remembered -= 1
        else:
            self.standing.first = self._safe.count
            self.standing.owed.clear()
            self.standing.aside.clear()
        self.standing.position = position
        self._note()

    def _keep_and_act(
        self, keeping: Keeping, node: Node, keys: Sequence[bytes], tries: int, search: Search | None = None
    ) -> Steps:
        """In frames, so that what is held in memory is bounded whatever the keys hold."""
        rest, elsewhere = keys, list[bytes]()
        while rest:
            frame = _Frame()
            while rest and frame.size < FRAME_BYTES:
                read = yield from self._read(keeping, node, rest, search)
                rest = rest[read.handled :]
                frame.add(read)
                elsewhere += read.elsewhere
            if frame.records:
                yield from self._act_on_frame(keeping, node, frame, tries)
        for there, its, further in (yield from self._turns.look_for(elsewhere, search)):
            yield from self._keep_and_act(keeping, there, its, tries, further)

    def _act_on_frame(self, keeping: Keeping, node: Node, frame: _Frame, tries: int) -> Steps:
        item = frame.item
        number = self._safe.keep(frame.records)
        self.standing.frame, self.standing.offset = number, 0
        if tries < TRIES or not self._earlier.kept_in_vain.isdisjoint(item.keys):
            self.standing.again.append(number)
        self._add(kept=len(item.keys))
        changed = yield from self._act(node, item)
        self.standing.frame, self.standing.offset = number + 1, 0
        if changed and tries > 1:
            yield from self._keep_and_act(keeping, node, changed, tries - 1)
        else:
            self._put_aside("refused", changed, _ALWAYS_WRITTEN)

    # --- reading -------------------------------------------------------------------------------------------

    def _read(self, keeping: Keeping, node: Node, keys: Sequence[bytes], search: Search | None) -> StepsTo[Read]:
        governor = self._turns.governor(node, "keep")
        yield from self._turns.rest(governor)
        part, follow = keys[: governor.count], search is not None and search.follow

        def ask(there: Node) -> Read:
            return keeping.read(there, part, follow=follow)

        try:
            read, _ = yield from self._turns.ask(node, part[0], governor, ask)
        except Unanswered as failure:
            raise failure.error from failure
        self._count_read(read)
        return read

    def _count_read(self, read: Read) -> None:
        self._add(found=read.gone, gone=read.gone)
        self._put_aside("too_large", read.too_large, _TOO_LARGE)
        self._put_aside("refused", read.refused, read.refusal)

    def _put_aside(self, count: str, keys: Sequence[bytes], why: str) -> None:
        """Count and name keys that are left as they are, once, whoever finds them again."""
        self._add(**{"found": len(keys), count: len(keys)})
        self.standing.name(keys, why)
        self.standing.owed.difference_update(keys)
        self.standing.aside.update(keys)

    # --- acting --------------------------------------------------------------------------------------------

    def _act(self, node: Node, item: _Item, search: Search | None = None) -> StepsTo[list[bytes]]:
        """Act on keys in calls that hold the server no longer than they may; gives the keys that have changed."""
        governor = self._turns.governor(node, "act")
        changed: list[bytes] = []
        elsewhere: list[bytes] = []
        offset = 0
        while offset < len(item.keys):
            part = yield from self._portion(governor, offset, len(item.keys))
            self._begin_call(part.stop - part.start)
            acted = yield from self._act_once(node, item.part(part), governor, search)
            changed += acted.changed
            elsewhere += acted.elsewhere
            offset += acted.handled
            self._end_call(acted.handled)
            if len(acted.elsewhere) == acted.handled:  # a replica by now, most often: the others fare no better
                elsewhere += item.keys[offset:]
                self.standing.owed.update(item.keys[offset:])
                self._end_call(len(item.keys) - offset)
                offset = len(item.keys)
            if acted.error is not None:
                self._note()
                raise acted.error
            yield
        # They stand in the frame's offset already; that they are owed is noted.
        for there, keys, further in (yield from self._turns.look_for(elsewhere, search)):
            changed += yield from self._act(there, item.only(keys), further)
        return changed

    def _portion(self, governor: Governor, offset: int, length: int) -> StepsTo[slice]:
        """The next keys, when the server has rested and the pace allows it."""
        yield from self._turns.rest(governor)
        size = min(governor.count, MOST_AT_ONCE, length - offset)
        if self._pacer is not None:
            size = self._pacer.portion(size)
            yield from sleep(self._pacer.wait(size))
        self._limit(size)
        return slice(offset, offset + size)

    def _act_once(self, node: Node, item: _Item, governor: Governor, search: Search | None) -> StepsTo[Acted]:
        keys, follow = item.keys, search is not None and search.follow

        def ask(there: Node) -> Acted:
            acted = self._acting.act(there, keys, item.checksums, follow=follow)
            untouched = acted.untouched.union(keys[acted.handled :])
            begun = time.perf_counter()
            self._telling.keys(there, [key for key in keys if key not in untouched] if untouched else keys)
            if acted.held is not None:
                acted.held += time.perf_counter() - begun
            return acted

        try:
            acted, lost = yield from self._turns.ask(node, keys[0], governor, ask)
        except (Unanswered, GeneratorExit) as failure:
            if not self._turns.lost:  # one that was answered by an error has done nothing
                self.standing.doubt = 0
            if isinstance(failure, Unanswered):
                raise failure.error from failure
            raise
        self._count(acted, item, in_doubt=lost)
        return acted

    def _count(self, acted: Acted, item: _Item, *, in_doubt: bool) -> None:
        """After a lost answer, what is gone or has a short TTL may be what that call has done."""
        self._add(found=acted.done, **{"lowered" if self._task.lowers else "removed": acted.done})
        if in_doubt:
            self._add(unsure=acted.gone + acted.unchanged)
        else:
            self._add(found=acted.gone + acted.unchanged, gone=acted.gone, unchanged=acted.unchanged)
        self._owe(item.keys[: acted.handled], acted)
        self._put_aside("refused", acted.refused, acted.refusal)
        if item.memory and not self._task.lowers:
            untouched = acted.untouched.union(item.keys[acted.handled :])
            sizes = item.memory
            if untouched:
                sizes = [size for key, size in zip(item.keys, sizes, strict=True) if key not in untouched]
            self._add(memory=sum(sizes))
        for place, keys in acted.expiry.items():
            self.standing.expiry[place] += keys
        self._told()

    def _owe(self, keys: Sequence[bytes], acted: Acted) -> None:
        standing = self.standing
        standing.owed.difference_update(keys)
        standing.owed.update(acted.changed, acted.elsewhere, acted.undone)
        if self._task.lowers and not self._task.vault:  # they are found again, and in no frame
            standing.aside.update(set(keys) - standing.owed)

    def _limit(self, coming: int) -> None:
        most = self._options.most
        if most is not None and self.standing.tally["found"] + coming > most:
            raise TooMany(f"There are more than the {most:,} keys for which this was allowed.")

    # --- notes ---------------------------------------------------------------------------------------------

    def _begin_call(self, keys: int) -> None:
        """Write down that so many keys are in doubt from now on, and with it what the calls before have done."""
        self.standing.doubt = keys
        try:
            self._note()
        except BaseException:
            self.standing.doubt = 0  # it is not begun
            raise

    def _end_call(self, keys: int) -> None:
        """Its answer is there, and is written down with the next call."""
        self.standing.doubt = 0
        self.standing.offset += keys

    def _add(self, **more: int) -> None:
        self.standing.tally.update(more)

    def _told(self) -> None:
        if self._task.tell is None:
            return
        self.standing.tally["messages"] = self._earlier.messages + self._telling.messages
        self.standing.tally["receivers"] = self._earlier.receivers + self._telling.receivers
        problem = f"A message could not be published: {self._telling.problem}"
        if self._telling.problem and problem not in self.notes:
            self.notes.append(problem)

    def _note(self) -> None:
        self.standing.elapsed = self.elapsed
        self._safe.note(self.standing.to_text())
