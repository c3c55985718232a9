"""From what was seen of each server to a Report. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from dashboard.cache.analysis.report import BigKey, Cliff, Report, RuleRow
from dashboard.cache.analysis.report_expiry import expiry, found_cliffs, seen_in_slots
from dashboard.cache.analysis.report_namespaces import namespace_rows, ranked
from dashboard.cache.analysis.report_whole import activity, encodings, sizes_of, ttl_groups, types
from dashboard.cache.analysis.strata import Stratum, add, keys_of, memory_of, whole, without_memory_of
from dashboard.cache.analysis.sums import NO_TTL, Question
from dashboard.cache.analysis.tally import MOST_BIGGEST
from dashboard.cache.estimate import NOTHING, Estimate
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.ttl_rules import Rule

MOST_NAMED = 500  # namespaces of a finished report
MOST_NAMED_LIVE = 60  # while it runs, the report is made again and again
CLIFF_SECONDS = 2.0
KEY_CUT = 1000  # characters of a key's name that are kept


class Reporter:
    """Makes reports of one analysis. `origin` is when its slots count from, epoch seconds."""

    def __init__(self, question: Question, origin: float, missing: Sequence[str], method: Callable[[], str]) -> None:
        self._question = question
        self._origin = origin
        self._missing = tuple(missing)
        self._method = method
        self._cliffs: tuple[Cliff, ...] = ()
        self._cliffs_at = float("-inf")

    def report(self, strata: Sequence[Stratum], notes: Sequence[str] = (), *, final: bool = False) -> Report:
        """The figures as they are now. `final`: all that is worth keeping, which takes longer."""
        question, everything = self._question, whole(strata)
        slots, names = seen_in_slots(strata), ranked(strata, question)
        told = question.memory
        return Report(
            started_at=self._origin,
            sample=sum(one.examined for one in strata),
            population=sum(one.size for one in strata),
            effect=max((one.usual_effect for one in strata), default=1.0),
            keys=keys_of(everything),
            memory=memory_of(everything) if told else None,
            without_ttl=(
                add(one.count(seen[NO_TTL]) for one, seen in zip(strata, slots, strict=True))
                if question.ttls
                else NOTHING
            ),
            without_ttl_memory=without_memory_of(everything) if told and question.ttls else None,
            ttl=tuple(ttl_groups(strata, slots, question)) if question.ttls else (),
            types=tuple(types(strata, question)),
            encodings=tuple(encodings(strata, question)),
            sizes=sizes_of(everything) if told else None,
            namespaces=tuple(namespace_rows(strata, question, names, MOST_NAMED if final else MOST_NAMED_LIVE)),
            namespaces_found=len(names),
            bound=sum(one.tally.bound for one in strata),
            biggest=tuple(_biggest(strata)),
            expiry=expiry(strata, slots, question, self._origin),
            cliffs=self._found_cliffs(strata, slots, final=final),
            rules=tuple(_rules(strata, question.rules)),
            activity=activity(strata, question),
            missing=self._missing,
            method=self._method(),
            notes=tuple(notes),
        )

    def _found_cliffs(
        self, strata: Sequence[Stratum], slots: Sequence[Sequence[int]], *, final: bool
    ) -> tuple[Cliff, ...]:
        """Looked for every two seconds and at the end: of all figures these take the longest to find."""
        now = time.monotonic()
        if final or now - self._cliffs_at >= CLIFF_SECONDS:
            self._cliffs = tuple(found_cliffs(strata, slots, self._question, self._origin))
            self._cliffs_at = now
        return self._cliffs


def _biggest(strata: Sequence[Stratum]) -> Iterator[BigKey]:
    found = [key for one in strata for key in one.tally.biggest.values()]
    for one in sorted(found, key=lambda one: (-one.memory, one.key))[:MOST_BIGGEST]:
        name = printable(one.key)  # its first bytes, where it is very long
        yield BigKey(
            name=name[:KEY_CUT],
            type=one.type.decode("ascii", "replace"),
            memory=one.memory,
            ttl=one.pttl / 1000 if one.pttl >= 0 else -1.0,
            members=one.members if one.members >= 0 else None,
            cut=max(len(name) - KEY_CUT, 0) + one.length - len(one.key),
        )


def _rules(strata: Sequence[Stratum], rules: Sequence[Rule]) -> Iterator[RuleRow]:
    for place, rule in enumerate(rules):
        standing = [(one, one.tally.standing[place]) for one in strata if one.tally.standing]
        inside, below, above, without = (_placed(standing, which) for which in range(4))
        longest = max((counts[4] for _, counts in standing), default=-1)
        yield RuleRow(
            rule.id,
            printable(rule.pattern),
            rule.low,
            rule.high,
            rule.reason,
            inside,
            below,
            above,
            without,
            longest / 1000 if longest >= 0 else None,
        )


def _placed(standing: Sequence[tuple[Stratum, Sequence[int]]], which: int) -> Estimate:
    return add(one.count(counts[which]) for one, counts in standing)
