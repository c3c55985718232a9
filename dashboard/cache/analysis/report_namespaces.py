"""What a report says of each namespace. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from dashboard.cache.analysis.report import OTHER, Group, NamespaceRow
from dashboard.cache.analysis.report_whole import sizes_of
from dashboard.cache.analysis.slots import TTL_LABELS
from dashboard.cache.analysis.strata import Rows, Stratum, add, keys_of, memory_of, rows_of, without_memory_of
from dashboard.cache.analysis.sums import ODDITIES, Question
from dashboard.cache.estimate import NOTHING, Estimate
from dashboard.cache.selecting.key_token import printable

WITH_TTLS = 100  # namespaces of which the TTL distribution is told one by one
EXAMPLE = 200  # characters


def ranked(strata: Sequence[Stratum], question: Question) -> list[bytes]:
    """Names of all namespaces, the largest first: by memory where it is told, else by keys."""
    ranks: Counter[bytes] = Counter()
    for one in strata:
        for name, row in one.tally.rows.items():
            ranks[name] += round((row.memory if question.memory else row.keys) * one.weight)
    return sorted(ranks, key=lambda name: (-ranks[name], name))


def namespace_rows(
    strata: Sequence[Stratum], question: Question, names: Sequence[bytes], most: int
) -> Iterator[NamespaceRow]:
    """The first `most` of the names, and one row for all others, where there are such."""
    for place, name in enumerate(names[:most]):
        rows = rows_of(strata, name)
        detailed = place < WITH_TTLS and question.ttls
        yield _row(printable(name), rows, question, printable(rows[0][1].example)[:EXAMPLE], detailed=detailed)
    others = [pair for name in names[most:] for pair in rows_of(strata, name)]
    others += [(one, one.tally.other) for one in strata if one.tally.other.keys]
    if others:
        yield _row(OTHER, others, question, "", detailed=False)


def _row(name: str, rows: Rows, question: Question, example: str, *, detailed: bool) -> NamespaceRow:
    ttls = question.ttls
    return NamespaceRow(
        name=name,
        keys=keys_of(rows),
        memory=memory_of(rows) if question.memory else None,
        without_ttl=add(one.count(one.without_ttl(row)) for one, row in rows) if ttls else NOTHING,
        without_ttl_memory=without_memory_of(rows) if ttls and question.memory else None,
        example=example,
        missed=0 if name == OTHER else sum(row.missed for _, row in rows),
        ttl=tuple(_ttl(rows)) if detailed else (),
        types=tuple(_types(rows)),
        sizes=sizes_of(rows) if question.memory and name != OTHER else None,
        odd=_odd(rows),
        odd_examples={
            ODDITIES[place - 1]: printable(key)[:EXAMPLE] for _, row in rows for place, key in row.odd_examples.items()
        },
    )


def _ttl(rows: Rows) -> Iterator[Estimate]:
    counts = [(one, one.ttl_buckets(row)) for one, row in rows]
    for bucket in range(len(TTL_LABELS)):
        yield add(one.count(buckets[bucket]) for one, buckets in counts)


def _types(rows: Rows) -> list[Group]:
    kinds = {kind for _, row in rows for kind in row.types}
    groups = [
        Group(kind.decode("ascii", "replace"), add(one.count(row.types[kind]) for one, row in rows)) for kind in kinds
    ]
    strings = add(one.count(row.keys - row.types.total()) for one, row in rows)
    if strings.value:
        groups.append(Group("string", strings))
    return sorted(groups, key=lambda group: (-group.keys.value, group.name))


def _odd(rows: Rows) -> dict[str, Estimate]:
    places = sorted({place for _, row in rows for place in row.odd})
    return {ODDITIES[place - 1]: add(one.count(row.odd[place]) for one, row in rows) for place in places}
