"""Settings, their changes and trials in lines for a terminal (text.say makes them plain)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from dashboard.cache import wording
from dashboard.cache.servers.setting import SETTINGS, shown
from dashboard.cache.tuning import before_after
from dashboard.cache.tuning.before_after import Figure
from dashboard.cache.tuning.effect import Planned, judged
from dashboard.cache.tuning.node_settings import NodeSettings
from dashboard.cache.tuning.policies import policy_of
from dashboard.cache.tuning.trial_rules import BadGuards, guards_of
from dashboard.jobs.tuning import Current, Preview
from dashboard.store.setting_changes import SettingChange
from dashboard.store.trials import Trial

NO_WORKER = "No worker is running, so nobody takes a trial back. Start one: cachedeck worker."


def current_lines(
    cache: str, now: Current, apart: Mapping[str, Mapping[str, tuple[str, str]]], trials: Sequence[Trial]
) -> Iterator[str]:
    """The settings of every node, what differs, and the policies. apart: node -> setting -> (running, in its file)."""
    yield f"{cache}: {_pressure(now)}"
    for trial in trials:
        yield trial_line(trial)
    for node in now.nodes:
        if node.problem:
            yield f"{node.node} cannot be read: {node.problem}"
    yield ""
    yield from _settings(now.nodes)
    for where, settings in apart.items():
        for name, (running, written) in settings.items():
            yield f"{where}: {name} is {running}, and {written or 'nothing'} in its file: a restart would lose it."
    yield ""
    yield from _policies(now)
    if now.why_not:
        yield ""
        yield f"{now.why_not} {now.how}".strip()


def _pressure(now: Current) -> str:
    whole, lately = now.seen.picture.whole, now.seen.picture.recent
    if whole is None:
        return "no samples yet."
    limit = whole.get("maxmemory")
    memory = f"{wording.size(whole.counted_memory)} of {wording.size(limit) if limit else 'no limit'}"
    if lately is None:
        return f"{memory}."
    ratio = "" if lately.hit_ratio is None else f", hit ratio {wording.percent(lately.hit_ratio)}"
    evicting = wording.count(lately.per_second("evicted_keys"))
    return f"{memory}, evicting {evicting}/s{ratio}."


def _settings(nodes: Sequence[NodeSettings]) -> Iterator[str]:
    """One line a setting with what most nodes have, one more for each that has another value."""
    names = [one.name for one in SETTINGS if one.editable and any(one.name in node.values for node in nodes)]
    width = max((len(name) for name in names), default=0)
    for name in names:
        have = [(node, node.values[name]) for node in nodes if name in node.values]
        ((usual, _),) = Counter(value for _, value in have).most_common(1)
        yield f"{name:<{width}}  {_value(name, usual)}"
        for node, value in have:
            if value != usual:
                kind = " (replica)" if node.is_replica else ""
                yield f"{'':<{width}}  {_value(name, value)} on {node.node}{kind}"


def _value(name: str, value: str) -> str:
    words = shown(name, value)
    return words if words.startswith(value) else f"{value} ({words})"


def _policies(now: Current) -> Iterator[str]:
    has = {node.values.get("maxmemory-policy") for node in now.nodes if not node.is_replica}
    yield "Policies that the server knows:" if now.told else "Policies that every server knows:"
    for name in now.policies:
        mark = "*" if name in has else " "
        yield f"{mark} {name:<16} {policy_of(name).says}"
        yield f"  {'':<16} {judged(name, now.seen).sentence}"


def preview_lines(cache: str, seen: Preview) -> Iterator[str]:
    """What would change where, and what to know before."""
    yield f"{cache}, on {_nodes(seen.planned)}:"
    for name, value in seen.wanted.items():
        had = {one.now.get(name, "") for one in seen.planned if name in one.wanted}
        if had:
            before = ", ".join(sorted(_value(name, one) for one in had))
            yield f"  {name}: {before} -> {_value(name, value)}"
    for remark in seen.remarks:
        yield f"{'!' if remark.asks else '-'} {remark.sentence}"


def _nodes(planned: Sequence[Planned]) -> str:
    replicas = sum(one.is_replica for one in planned)
    primaries = len(planned) - replicas
    said = [wording.number_of(primaries, "primary", "primaries")] if primaries else []
    said += [wording.number_of(replicas, "replica")] if replicas else []
    return " and ".join(said)


def change_lines(change: SettingChange) -> Iterator[str]:
    """What came of a change, on each node where it is not done."""
    done = [one for one in change.nodes if one.state == "applied"]
    yield f"Change {change.number}: {change.state} on {len(done)} of {len(change.nodes)} nodes."
    for one in change.nodes:
        if one.state != "applied" or one.sentence:
            yield f"  {one.node}: {one.state}. {one.sentence}".rstrip()
    if change.state == "partial" and change.touched:
        yield f"To take it back where it is: cachedeck policy rollback {change.number}"
    elif change.state == "applied" and change.kind == "change":
        yield f"To take it back: cachedeck policy rollback {change.number}"


def way_back_lines(change: SettingChange) -> Iterator[str]:
    """What the nodes of a change would be given again."""
    yield f"Change {change.number}, {change.cache}, by {change.actor} on {moment(change.at)}:"
    for one in change.touched:
        values = ", ".join(f"{name}={value}" for name, value in one.before.items())
        yield f"  {one.node}: back to {values}"


def trial_line(trial: Trial) -> str:
    """One line of a trial: what, until when, how it ended."""
    wanted = ", ".join(f"{name}={value}" for name, value in trial.wanted.items())
    said = f"Trial {trial.number}, {trial.state}: {wanted}"
    if trial.open:
        return f"{said} until {moment(trial.ends_at)}."
    return f"{said} for {wording.span(trial.seconds)} from {moment(trial.started_at)}. {trial.why}".rstrip()


def started_lines(trial: Trial) -> Iterator[str]:
    """That a trial runs, and what ends it."""
    yield trial_line(trial)
    try:
        guards = guards_of(trial.guards).in_words
    except BadGuards:
        guards = ""
    if guards:
        yield f"It is taken back before if {guards}."
    yield f"To end it: cachedeck policy end {trial.number}, or with --keep."


def ended_lines(trial: Trial) -> Iterator[str]:
    """How a trial ended, and what was different in it."""
    yield trial_line(trial)
    for note in trial.notes:
        yield f"  {note}"
    found = before_after.of_plain(trial.comparison)
    if found is not None:
        yield f"  {found.sentence}"
        yield from (f"  {_figure(one)}" for one in found.figures if one.before is not None or one.during is not None)


def _figure(one: Figure) -> str:
    """As its sentence; that it was too short is said once, for all."""
    return (
        one.sentence if one.difference is not None else f"{one.label} {one.told(one.before)} -> {one.told(one.during)}."
    )


def history_lines(changes: Iterable[SettingChange], trials: Iterable[Trial]) -> Iterator[str]:
    """A line a change, the newest first, and then the trials."""
    for one in changes:
        values = ", ".join(f"{name}={value}" for name, value in one.wanted.items())
        back = "" if one.takes_back is None else f" of {one.takes_back}"
        where = f"{len(one.nodes)} {'node' if len(one.nodes) == 1 else 'nodes'}"
        words = (f"{one.number:>5}", moment(one.at), one.actor, one.kind + back, one.state, f"{values} on {where}")
        yield "  ".join((*words, *filter(None, [one.reason])))
    for trial in trials:
        yield trial_line(trial)


def moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
