"""What is remarkable about the design of a keyspace: names, sizes and types that cost more than they need. Pure.

Each finding is counted, has examples, and leads to a Selection of what it speaks of. A glob cannot
always say exactly what was counted; where the selection takes more (or less), the finding says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from dashboard.cache.analysis.report import OTHER, NamespaceRow, Report
from dashboard.cache.estimate import Estimate, exactly, sum_of
from dashboard.cache.selecting.fold import pattern_of
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import Selection, glob_escape
from dashboard.cache.wording import count, number_of, percent, size

LONG_NAME = 256
"""Bytes of a name beyond which it counts as very long. Every key keeps its name in memory and every command carries
it; Redis calls 1024 bytes a bad idea (https://redis.io/docs/latest/develop/using-commands/keyspace/). At 256 a
name is already longer than most cached values, and a digest of 32 bytes would do."""

LARGE_VALUE = 1024 * 1024
"""Bytes of a key, as MEMORY USAGE counts them, beyond which it counts as very large. At 1 Gbit/s a reply of 1 MiB
takes more than 8 ms, and a server whose commands run on one thread answers nobody while it copies it."""

MANY_MEMBERS = 1_000_000
"""Members from which a collection has millions. A command over all of it holds the server for a second or so, DEL
(not UNLINK) too, and a cluster cannot part it among its primaries."""

LONG, LARGE, SINGLE, MILLIONS = "long name", "large value", "one element", "millions of members"
"""The names under which NamespaceRow.odd counts."""

LEAST_PARTS, MOST_PARTS = 3, 4  # of service:entity:id[:field]
EXAMPLES = 3
EXAMPLE_CUT = 200  # characters at which the analysis cuts an example (report.NamespaceRow)
_UNFIT = re.compile(rb"[\x00-\x20\x7f]")

Level = Literal["warning", "info", "ok"]


@dataclass(frozen=True)
class DesignFinding:
    """One remark. keys: how many it concerns; memory: what they take, bytes, None where that is not known.

    examples: names of keys, printable. selection: where "show these" leads, None where there is nothing to show.
    differs: how what is shown there differs from what was counted, "" where it does not.
    """

    name: str
    level: Level
    sentence: str
    advice: str
    keys: Estimate
    memory: Estimate | None = None
    examples: tuple[str, ...] = ()
    selection: Selection | None = None
    differs: str = ""


def design_findings(report: Report, selection: Selection, separator: bytes) -> tuple[DesignFinding, ...]:
    """Everything worth saying about an analysis of `selection`, what costs most first; one good word where all is well.

    The findings' own selections are parts of that one, as far as a selection can say it.
    """
    rows = tuple(row for row in report.namespaces if row.name != OTHER)
    found = [
        *_large_values(report, selection),
        *_millions(report, selection),
        *_long_names(report, selection),
        *_off_form(report, rows, selection, separator),
        *_mixed_types(report, rows, selection),
        *_single(report, selection),
    ]
    if not found and report.keys.value:
        looked = "all" if report.keys.exact else f"the {count(report.sample)} examined so far"
        return (
            DesignFinding(
                "in order",
                "ok",
                f"Names, sizes and types are in order ({looked} of the {count(report.keys.value)} keys).",
                "",
                report.keys,
            ),
        )
    found = [replace(one, sentence=one.sentence[:1].upper() + one.sentence[1:]) for one in found]
    return tuple(sorted(found, key=lambda one: one.level != "warning"))


def _large_values(report: Report, base: Selection) -> Iterator[DesignFinding]:
    keys = _odd(report, LARGE)
    if not keys.value:
        return
    known = [key for key in report.biggest if key.memory > LARGE_VALUE]
    whole = keys.exact and len(known) == round(keys.value)
    memory = exactly(sum(key.memory for key in known)) if whole else None
    largest = f"; the largest has {size(known[0].memory)}" if known else ""
    yield DesignFinding(
        LARGE,
        "warning",
        f"{_number(keys)} {_is(keys)} larger than {size(LARGE_VALUE)}{largest}.",
        "Part them by what is read together, or compress them: reading one holds up everybody else's commands.",
        keys,
        memory,
        tuple(key.name for key in known if not key.cut)[:EXAMPLES] or _examples(report, LARGE),
        replace(base, size=f">{LARGE_VALUE}"),
    )


def _millions(report: Report, base: Selection) -> Iterator[DesignFinding]:
    keys = _odd(report, MILLIONS)
    if not keys.value:
        return
    selection, differs = _where_most(report, base, MILLIONS, keys)
    yield DesignFinding(
        MILLIONS,
        "warning",
        f"{_number(keys, 'collection', 'collections')} {_has(keys)} {count(MANY_MEMBERS)} members or more.",
        "Part them by a hash of the member, and remove them with UNLINK: "
        "one command over all members holds up all others.",
        keys,
        _memory_of_millions(report, keys),
        _examples(report, MILLIONS),
        selection,
        differs,
    )


def _long_names(report: Report, base: Selection) -> Iterator[DesignFinding]:
    keys = _odd(report, LONG)
    if not keys.value:
        return
    yield DesignFinding(
        LONG,
        "warning",
        f"{_number(keys)} {_has(keys)} a name of more than {LONG_NAME} bytes.",
        "Put a digest of what is long into the name (a SHA-256 has 64 characters): each name is kept in memory "
        "and sent with each command.",
        keys,
        None,
        _examples(report, LONG),
        replace(base, pattern=b"?" * (LONG_NAME + 1) + b"*"),
        "" if base.pattern == b"*" else "The link shows all such keys of the cache, not only those analysed here.",
    )


def _off_form(
    report: Report, rows: Iterable[NamespaceRow], base: Selection, separator: bytes
) -> Iterator[DesignFinding]:
    off = [row for row in rows if not on_form(from_printable(row.name), separator)]
    if not off:
        return
    keys = _of_rows(report, off)
    largest = max(off, key=lambda row: row.keys.value)
    shown = separator.decode("utf-8", "replace")
    form = shown.join(("service", "entity", "id[")) + shown + "field]"
    others = f", which is the largest of the {len(off)} such namespaces" if len(off) > 1 else ""
    wider = _wider(report, largest)
    yield DesignFinding(
        "off form",
        "info",
        f"{_number(keys)}, {_share(keys, report.keys)} of all, {_has(keys)} {'a name' if _one(keys) else 'names'} "
        f"off the form {form}, in {number_of(len(off), 'namespace')}.",
        "Name keys alike, so that rules, rights and this dashboard can tell whose they are.",
        keys,
        _memory(off),
        tuple(row.example for row in sorted(off, key=lambda row: -row.keys.value)[:EXAMPLES]),
        replace(base, pattern=pattern_of(from_printable(largest.name))),
        _sentence(f"The link shows {largest.name}{others}" if others or wider else "", wider),
    )


def on_form(name: bytes, separator: bytes) -> bool:
    """Whether a (folded) name is service:entity:id or service:entity:id:field, no part empty or with white space."""
    parts = name.split(separator)
    return LEAST_PARTS <= len(parts) <= MOST_PARTS and all(part and not _UNFIT.search(part) for part in parts)


def _mixed_types(report: Report, rows: Iterable[NamespaceRow], base: Selection) -> Iterator[DesignFinding]:
    mixed = [row for row in rows if len(row.types) > 1]
    if not mixed:
        return
    fewer = [group for row in mixed for group in row.types[1:]]
    keys = _added(report, [group.keys for group in fewer])
    most = max(mixed, key=lambda row: sum(group.keys.value for group in row.types[1:]))
    told = [group.memory for group in fewer if group.memory is not None]
    others = f", one of {len(mixed)} such namespaces" if len(mixed) > 1 else ""
    kinds = ", ".join(group.name for group in most.types)
    yield DesignFinding(
        "mixed types",
        "info",
        f"{number_of(len(mixed), 'namespace')} {'has' if len(mixed) == 1 else 'have'} keys of more than one type: "
        f"{_number(keys)} {_is(keys)} not of the type that most of {'its' if len(mixed) == 1 else 'their'} keys have.",
        "Code that expects one type gets WRONGTYPE from the others: give each type names of its own.",
        keys,
        sum_of(told) if told and len(told) == len(fewer) else None,
        tuple(row.example for row in mixed[:EXAMPLES]),
        replace(base, pattern=pattern_of(from_printable(most.name))),
        _sentence(f"The link shows all keys of {most.name} ({kinds}){others}", _wider(report, most)),
    )


def _single(report: Report, base: Selection) -> Iterator[DesignFinding]:
    keys = _odd(report, SINGLE)
    if not keys.value:
        return
    selection, differs = _where_most(report, base, SINGLE, keys)
    yield DesignFinding(
        SINGLE,
        "info",
        f"{_number(keys, 'collection', 'collections')} {_has(keys)} one element only.",
        "If it stays at one, a string takes less and GET is simpler; if it is one field of many objects, "
        "hold the objects in one hash.",
        keys,
        None,
        _examples(report, SINGLE),
        selection,
        differs,
    )


def _odd(report: Report, name: str) -> Estimate:
    return _added(report, [row.odd[name] for row in report.namespaces if name in row.odd])


def _of_rows(report: Report, rows: Iterable[NamespaceRow]) -> Estimate:
    return _added(report, [row.keys for row in rows])


def _added(report: Report, parts: list[Estimate]) -> Estimate:
    """The sum of counts of disjoint keys. From one sample it is a count of that sample itself, so its interval is."""
    value = sum(part.value for part in parts)
    return exactly(value) if all(part.exact for part in parts) else report.estimate(value)


def _memory(rows: Iterable[NamespaceRow]) -> Estimate | None:
    told = [row.memory for row in rows]
    parts = [part for part in told if part is not None]
    return sum_of(parts) if parts and len(parts) == len(told) else None


def _memory_of_millions(report: Report, keys: Estimate) -> Estimate | None:
    """What they take, where all of them stand in the list of the biggest keys."""
    known = [key for key in report.biggest if key.members is not None and key.members >= MANY_MEMBERS]
    return exactly(sum(key.memory for key in known)) if keys.exact and len(known) == round(keys.value) else None


def _examples(report: Report, name: str) -> tuple[str, ...]:
    rows = sorted((row for row in report.namespaces if name in row.odd), key=lambda row: -row.odd[name].value)
    return tuple(row.odd_examples[name] for row in rows if name in row.odd_examples)[:EXAMPLES]


def _where_most(report: Report, base: Selection, name: str, keys: Estimate) -> tuple[Selection | None, str]:
    """A selection of the keys that are odd in this way, and how it differs from them: no glob counts members."""
    rows = [row for row in report.namespaces if name in row.odd]
    most = max(rows, key=lambda row: row.odd[name].value)
    example = most.odd_examples.get(name, "")
    if keys.exact and round(keys.value) == 1 and example and len(example) < EXAMPLE_CUT:
        return replace(base, pattern=glob_escape(from_printable(example))), ""
    named = [row for row in rows if row.name != OTHER]
    if not named:
        return None, ""
    most = max(named, key=lambda row: row.odd[name].value)
    others = f", where most of them are ({len(rows)} namespaces have some)" if len(rows) > 1 else ""
    says = f"The link shows all keys of {most.name}{others}, not only these"
    return replace(base, pattern=pattern_of(from_printable(most.name))), _sentence(says, _wider(report, most))


def _wider(report: Report, row: NamespaceRow) -> str:
    """Which other namespaces the glob of this one takes too, as an addition to a sentence."""
    covers = _matcher(pattern_of(from_printable(row.name)))
    taken = [
        other.name
        for other in report.namespaces
        if other.name not in (OTHER, row.name) and covers.fullmatch(from_printable(other.name))
    ]
    if not taken:
        return ""
    more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
    return f"its pattern takes {taken[0]}{more} too"


def _matcher(pattern: bytes) -> re.Pattern[bytes]:
    """What a glob of pattern_of() matches, as a regular expression: literals, and `*`."""
    literals = (re.escape(re.sub(rb"\\(.)", rb"\1", part, flags=re.DOTALL)) for part in pattern.split(b"*"))
    return re.compile(b".*".join(literals), re.DOTALL)


def _sentence(*clauses: str) -> str:
    said = "; ".join(clause for clause in clauses if clause)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _number(keys: Estimate, one: str = "key", many: str = "keys") -> str:
    """`12 keys`, or `about 1.2 k keys (1.1 k to 1.3 k)`."""
    noun = one if _one(keys) else many
    if keys.exact:
        return f"{count(round(keys.value))} {noun}"
    between = f"{count(math.floor(keys.low))} to {count(math.ceil(keys.high))}"
    return f"about {count(round(keys.value))} {noun} ({between})"


def _one(keys: Estimate) -> bool:
    return round(keys.value) == 1


def _is(keys: Estimate) -> str:
    return "is" if _one(keys) else "are"


def _has(keys: Estimate) -> str:
    return "has" if _one(keys) else "have"


def _share(keys: Estimate, whole: Estimate) -> str:
    return percent(min(keys.value / whole.value, 1.0)) if whole.value else "0"
