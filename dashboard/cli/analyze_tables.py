"""An analysis as tables of plain ASCII, but for the names: `1,234 +- 56` is an estimate, `1,234` was counted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

from dashboard.cache import wording
from dashboard.cache.analysis.design import DesignFinding
from dashboard.cache.analysis.report import Group, NamespaceRow, Report, RuleRow
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.walking.progress import Progress
from dashboard.cli.analyze_json import tells_ttl

NAME_LIMIT = 100  # characters of a name that a line shows
NOT_TOLD = "?"
NO_TTL = "no TTL"
REASON_LIMIT = 40  # characters of a rule's reason: a longer one is in the JSON, and on the screen of the rules
NAMES_LIMIT = 10  # names that one line lists


def lines(progress: Progress, report: Report, findings: Sequence[DesignFinding], top: int) -> Iterator[str]:
    """Everything, line by line; `top`: at most so many namespaces and biggest keys. Empty tables are left out."""
    yield summary(report)
    yield basis(progress)
    yield from report.missing
    yield from report.notes
    if not report.keys.high:
        return
    yield from _table("Namespaces", *_namespaces(report, top))
    yield from _table("Time to live", *_groups("left", _ttl(report)))
    yield from _table("Types", *_groups("type", report.types))
    yield from _table("Encodings", *_groups("encoding", report.encodings))
    activity = {"idle": "Idle for", "frequency": "Frequency of use (LFU counter)"}.get(report.activity.kind, "")
    yield from _table(activity, *_groups("", report.activity.groups))
    yield from _table("Biggest keys", *_biggest(report, top))
    yield from _cliffs(report)
    yield from _table("TTL rules", *_rules(report))
    yield from _rules_of_no_key(report, whole=progress.complete)
    yield from _findings(findings)


def summary(report: Report) -> str:
    """What one came to know: how many keys, how much memory, how much of it stays for ever."""
    if not report.keys.high:
        return "No keys."
    memory = "" if report.memory is None else f", {size(report.memory)}"
    without = f"; {number(report.without_ttl)} never expire" if tells_ttl(report) else ""
    if without and report.without_ttl_memory is not None:
        without += f" ({size(report.without_ttl_memory)})"
    noun = "key" if report.keys == exactly(1) else "keys"
    return f"{number(report.keys)} {noun}{memory}{without}."


def basis(progress: Progress) -> str:
    """What the figures rest on, and what it has cost."""
    held = f"{progress.elapsed:.1f} s, a server held for {progress.busy:.2f} s in {progress.calls:,} calls"
    if progress.complete:
        return f"Exact: every key was examined ({held})."
    of = f"{progress.examined:,} of {progress.total:,} keys"
    return f"Estimated from {of}, with 95 % intervals ({held})."


def number(one: Estimate) -> str:
    """Keys: `1,234`, `1,234 +- 56`, or `3 (to 9)` where the interval reaches down to nothing."""
    return _figure(one, lambda value: f"{value:,.0f}")


def size(one: Estimate | None) -> str:
    """Bytes: `64 MB`, `64 MB +- 2.1 MB`; NOT_TOLD where the server does not tell."""
    return NOT_TOLD if one is None else _figure(one, _size)


def _figure(one: Estimate, shown: Callable[[float], str]) -> str:
    if one.exact:
        return shown(one.value)
    if not math.isfinite(one.high):
        return f"{shown(one.value)} or more"
    if one.margin >= one.value:
        return f"{shown(one.value)} (to {shown(math.ceil(one.high))})"
    return f"{shown(one.value)} +- {shown(math.ceil(one.margin))}"


def _size(value: float) -> str:
    return wording.size(value).replace(wording.NARROW, " ")


def _span(seconds: float) -> str:
    return wording.duration(seconds).replace(wording.NARROW, " ")


def _name(text: str, cut: int = 0) -> str:
    """A name that fits on a line; how much is left out stands where it is left out."""
    if len(text) <= NAME_LIMIT and not cut:
        return text
    head, tail = text[: NAME_LIMIT * 2 // 3], text[-NAME_LIMIT // 3 :] if not cut else ""
    left = len(text) - len(head) - len(tail)
    return f"{head}...({left + cut:,} more)...{tail}" if left + cut > 0 else text


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of right-aligned figures, and the name as the last one, where its length disturbs nothing."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    yield ""
    yield title
    for row in (head, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        yield ("  ".join([*cells, row[-1]])).rstrip()


Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def _namespaces(report: Report, top: int) -> Table:
    head = ("keys", "memory", "mean", "p99", "without TTL", "namespace")
    rows = [_namespace(row, tells_ttl(report)) for row in report.namespaces[:top]]
    left = report.namespaces_found - len(rows)
    if left > 0:
        bound = f", none of those not counted has more than {report.bound:,} keys" if report.bound else ""
        rows.append(("", "", "", "", "", f"... and {left:,} more{bound}"))
    return head, rows


def _namespace(row: NamespaceRow, told: bool) -> tuple[str, ...]:
    mean, p99 = (_size(row.sizes.mean), _size(row.sizes.p99)) if row.sizes else (NOT_TOLD, NOT_TOLD)
    without = number(row.without_ttl) if told else NOT_TOLD
    return number(row.keys), size(row.memory), mean, p99, without, _name(row.name)


def _groups(head: str, groups: Sequence[Group]) -> Table:
    seen = [one for one in groups if one.keys.value]
    return ("keys", "memory", head), [(number(one.keys), size(one.memory), _name(one.name)) for one in seen]


def _ttl(report: Report) -> Sequence[Group]:
    """By the time left, and those that never expire at the end."""
    forever = (Group(NO_TTL, report.without_ttl, report.without_ttl_memory),) if tells_ttl(report) else ()
    return (*report.ttl, *forever)


def _biggest(report: Report, top: int) -> Table:
    rows = [
        (
            _size(key.memory),
            key.type,
            "-" if key.members is None else f"{key.members:,}",
            "-" if key.ttl < 0 else _span(key.ttl),
            _name(key.name, key.cut),
        )
        for key in report.biggest[:top]
    ]
    return ("memory", "type", "members", "TTL", "key"), rows


def _cliffs(report: Report) -> Iterator[str]:
    if not report.cliffs:
        return
    yield ""
    yield "Cliffs: far more keys expire at once than around that moment"
    for cliff in report.cliffs:
        when = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(cliff.at))
        what = _name(cliff.pattern or cliff.name)
        usual = f"{cliff.usual:.2f}".rstrip("0").rstrip(".")
        yield f"{when}  {number(cliff.keys)} keys within {cliff.seconds} s, usually {usual}/s: {what}"


def _rules(report: Report) -> Table:
    rows = [
        (
            *(number(one) for one in (row.inside, row.below, row.above, row.without)),
            f"{_span(row.low)} to {_span(row.high)}",
            _name(row.pattern) + (f"  ({row.reason})" if 0 < len(row.reason) <= REASON_LIMIT else ""),
        )
        for row in report.rules
        if _matches(row)
    ]
    return ("inside", "below", "above", "without TTL", "range", "rule"), rows


def _matches(row: RuleRow) -> bool:
    return any(one.value for one in (row.inside, row.below, row.above, row.without))


def _rules_of_no_key(report: Report, *, whole: bool) -> Iterator[str]:
    idle = [_name(row.pattern) for row in report.rules if not _matches(row)]
    if not idle:
        return
    more = f" and {len(idle) - NAMES_LIMIT:,} more" if len(idle) > NAMES_LIMIT else ""
    if len(idle) == len(report.rules):
        yield ""
    yield f"TTL rules that match no key{'' if whole else ' seen'}: {', '.join(idle[:NAMES_LIMIT])}{more}"


def _findings(findings: Sequence[DesignFinding]) -> Iterator[str]:
    if not findings:
        return
    yield ""
    yield "Key design"
    for one in findings:
        sentence = one.sentence.replace(wording.NARROW, " ").replace("\u00b1", "+-")
        yield f"{one.level:<7}  {sentence}"
        if one.examples:
            yield " " * 9 + "such as " + ", ".join(_name(example) for example in one.examples)
