"""How many of the evicted keys are asked for again within a minute, counted while events come, in bounded memory. Pure.

Each eviction is followed until its key is missed, or for the whole time. One that cannot be followed to its end (the
connection broke, the measurement ended, it was given up for want of room) counts for as long as it was followed, as in
a life table (S. J. Cutler and F. Ederer, J. Chronic Diseases 8, 1958), so that what is lost makes the interval wider
and the share no other.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from dashboard.cache.estimate import NOTHING, Estimate, share_from_sample

FOLLOWED_SECONDS = 60.0
STEPS = 60
"""Of the life table: one a second of a minute."""
MOST_FOLLOWED = 50_000
"""Evictions followed at the same time, at about 350 bytes each: 20 MB."""
LONG_NAME = 64
"""Bytes of a key's name; of a longer one its digest is kept."""


@dataclass(frozen=True)
class Regret:
    """What was counted. share: of evicted keys, 0 to 1, that were asked for again within `within` seconds (fewer than
    wanted as long as none was followed for so long).

    evictions: that were heard of. followed: those which were followed (one in `one_in`, drawn at random, where there
    are very many). asked: of these, were missed in time. cut: of these, could not be followed to the end. curve: the
    share within 1, 2, ... seconds.
    """

    share: Estimate = NOTHING
    within: float = 0.0
    evictions: int = 0
    followed: int = 0
    asked: int = 0
    cut: int = 0
    one_in: int = 1
    curve: tuple[float, ...] = ()


class RegretCount:
    """Follows evictions. Times are seconds of one clock, and never go back.

    seconds: how long each is followed. most: followed at the same time. chance: a random number from 0 to 1.
    """

    def __init__(
        self,
        seconds: float = FOLLOWED_SECONDS,
        most: int = MOST_FOLLOWED,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._chance = chance
        self._waiting: dict[bytes, tuple[float, ...]] = {}
        self._queue: deque[tuple[float, bytes, str]] = deque()
        self._asked = [0.0] * STEPS
        self._cut = [0.0] * STEPS
        self._survived = 0.0
        self._evictions = self._followed = self._asked_in_all = self._cut_in_all = 0
        self.one_in = 1

    def evicted(self, key: bytes, at: float, node: str = "") -> None:
        """A key was evicted on a primary."""
        self._evictions += 1
        if self.one_in > 1 and self._chance() * self.one_in >= 1:
            return
        if len(self._queue) >= self._most:
            self._thin(at)
        name = _kept(key)
        self._followed += 1
        self._queue.append((at, name, node))
        self._waiting[name] = (*self._waiting.get(name, ()), at)

    def missed(self, key: bytes, at: float) -> None:
        """A key was asked for that is not there."""
        for since in self._waiting.pop(_kept(key), ()):
            if at - since < self._seconds:
                self._asked[self._step(at - since)] += 1
                self._asked_in_all += 1
            else:
                self._survived += 1

    def until(self, now: float) -> None:
        """Nothing else has happened before `now`: evictions of a minute ago were not asked for."""
        while self._queue and now - self._queue[0][0] >= self._seconds:
            at, name, _ = self._queue.popleft()
            if self._left(name, at):
                self._survived += 1

    def lost(self, now: float, node: str | None = None) -> None:
        """From now on nothing is known of what happens on a primary (None: on all of them)."""
        self._keep(now, lambda entry: node is not None and entry[2] != node)

    @property
    def waiting(self) -> int:
        """Evictions that are followed just now."""
        return sum(map(len, self._waiting.values()))

    def counted(self, now: float) -> Regret:
        """What is known by now; those still followed count for as long as they were."""
        cut = list(self._cut)
        for times in self._waiting.values():
            for at in times:
                cut[self._step(now - at)] += 1
        curve, share, reached = _life_table(self._asked, cut, self._survived)
        within = reached * self._seconds / STEPS
        return Regret(
            share,
            within,
            self._evictions,
            self._followed,
            self._asked_in_all,
            self._cut_in_all,
            self.one_in,
            tuple(round(one, 4) for one in curve),
        )

    def _thin(self, now: float) -> None:
        """Follow half as many from now on. Those of before count half as well, so that all weigh the same."""
        self.one_in *= 2
        self._asked = [one / 2 for one in self._asked]
        self._cut = [one / 2 for one in self._cut]
        self._survived /= 2
        cut, cut_in_all = list(self._cut), self._cut_in_all
        self._keep(now, lambda _: self._chance() < 0.5)
        # Those that were given up were not lost: the half that is followed stands for them.
        self._followed -= self._cut_in_all - cut_in_all
        self._cut, self._cut_in_all = cut, cut_in_all

    def _keep(self, now: float, kept: Callable[[tuple[float, bytes, str]], bool]) -> None:
        left: deque[tuple[float, bytes, str]] = deque()
        for entry in self._queue:
            at, name, _ = entry
            if at not in self._waiting.get(name, ()):
                continue
            if kept(entry):
                left.append(entry)
                continue
            self._left(name, at)
            self._cut[self._step(now - at)] += 1
            self._cut_in_all += 1
        self._queue = left

    def _step(self, age: float) -> int:
        return min(max(int(age * STEPS / self._seconds), 0), STEPS - 1)

    def _left(self, name: bytes, at: float) -> bool:
        """An eviction is followed no more; whether it was until now."""
        times = self._waiting.get(name, ())
        if at not in times:
            return False
        place = times.index(at)
        rest = times[:place] + times[place + 1 :]
        if rest:
            self._waiting[name] = rest
        else:
            del self._waiting[name]
        return True


def _kept(key: bytes) -> bytes:
    return key if len(key) <= LONG_NAME else blake2b(key, digest_size=16).digest()


def _life_table(asked: list[float], cut: list[float], survived: float) -> tuple[list[float], Estimate, int]:
    """(share asked for by the end of each step, that of the last step with its interval, how many steps there are).

    Greenwood's variance gives the size of the sample that would be as sure without losses, and Wilson's interval is
    that of this size, which stays sensible near 0 and 1.
    """
    at_risk = sum(asked) + sum(cut) + survived
    left, sum_of_terms, curve, last = 1.0, 0.0, list[float](), 0.0
    size = at_risk - sum(cut)
    for events, lost in zip(asked, cut, strict=True):
        exposed = at_risk - lost / 2
        if at_risk <= 0 or exposed <= 0:
            break
        last = exposed
        left *= 1 - min(events / exposed, 1.0)
        if exposed > events:
            sum_of_terms += events / (exposed * (exposed - events))
        curve.append(1 - left)
        at_risk -= events + lost
    if not curve:
        return [], Estimate(0.0, 0.0, 1.0), 0
    if curve[-1] >= 1:  # all were asked for before the time was over
        curve += [1.0] * (len(asked) - len(curve))
    share = curve[-1]
    variance = left**2 * sum_of_terms
    if share <= 0:
        size = max(size, last)
    elif share < 1 and variance > 0:
        size = share * (1 - share) / variance
    return curve, share_from_sample(share * size, size), len(curve)
