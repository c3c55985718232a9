"""`cachedeck analyze`: what is in a cache, when it expires and what it costs, as tables or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import click

from dashboard.cache.analysis.design import design_findings
from dashboard.cache.analysis.report import Snapshot
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.errors import CacheError
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.walk import Budget
from dashboard.cache.walking.watch import Limits
from dashboard.cli import analyze_json, analyze_tables
from dashboard.cli.cache import chosen, selected, selecting
from dashboard.cli.line import Line, in_a_line
from dashboard.settings import Settings, load_settings, prepare_data_folder
from dashboard.store import ttl_rules
from dashboard.store.engine import open_store

TOP = 20  # rows of a table that grows with the keyspace
INTERRUPTED = 130  # as a shell says of a program that Ctrl-C has ended
_FAILED = 1


@dataclass(frozen=True)
class Outcome:
    """The last snapshot (None: nothing was seen) and why there is no more: "" where the walk came to its end."""

    last: Snapshot | None
    why: str = ""
    code: int = 0


@click.command("analyze")
@selecting
@click.option(
    "--share", type=click.FloatRange(0.01, 1.0), help="Of each server's time; CACHEDECK_WALK_SHARE if not said."
)
@click.option("--replicas", is_flag=True, help="Ask replicas instead of primaries, where there are some.")
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so long; figures are estimates then."
)
@click.option(
    "--top", type=click.IntRange(1), help=f"Namespaces and biggest keys shown; tables show {TOP} if not said."
)
@click.option("--rules", "with_rules", is_flag=True, help="Hold the keys against the cache's TTL rules.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; its fields are in docs/analysis.md.")
def analyze_command(
    *,
    pattern: str,
    name: str | None,
    kind: str,
    ttl: str,
    size: str,
    share: float | None,
    replicas: bool,
    seconds: float | None,
    top: int | None,
    with_rules: bool,
    as_json: bool,
) -> None:
    r"""Count keys and memory by namespace, TTL and type, for the keys that match a glob PATTERN.

    Ctrl-C ends it and shows what is known so far, as estimates: exit code 130. Exit code 1 if a primary
    could not be walked to the end, or the walk ended itself because the server got slower or fuller.
    """
    selection = selected(pattern, kind, ttl, size)
    settings = load_settings()
    with closing(chosen(settings, name)) as cache:
        options = Options(
            budget=Budget(hold_ms=settings.walk_hold_ms, share=share or settings.walk_share, seconds=seconds),
            separator=settings.namespace_separator.encode(),
            rules=_rules(settings, cache.name) if with_rules else (),
            replicas=replicas,
            limits=Limits(settings.walk_latency_ms, settings.walk_memory_mb * 1024 * 1024),
        )
        outcome = _run(cache, selection, options)
        _show(cache.name, selection, outcome, options.separator, top, as_json=as_json)
    sys.exit(outcome.code)


def _run(cache: Cache, selection: Selection, options: Options) -> Outcome:
    """Drive the analysis to its end or to Ctrl-C. Raises CacheError where nothing was seen at all."""
    line = Line()
    last: Snapshot | None = None
    try:
        with closing(line), closing(_analysis(cache, selection, options)) as running:
            for last in running:
                line.show(in_a_line(last.progress))
    except KeyboardInterrupt:
        return Outcome(last, "Stopped by Ctrl-C.", INTERRUPTED)
    except CacheError as error:
        if last is None:
            raise
        return Outcome(last, f"{error.sentence} {error.advice}".strip(), _FAILED)
    if last is None:
        return Outcome(None, "Nothing was seen.", _FAILED)
    if last.progress.lost:
        lost = "; ".join(f"{node}: {why}" for node, why in last.progress.lost.items())
        return Outcome(last, f"Not examined to the end: {lost}", _FAILED)
    return Outcome(last, "" if last.progress.ended else f"Stopped after {options.budget.seconds:g} s, as asked for.")


def _analysis(cache: Cache, selection: Selection, options: Options) -> Generator[Snapshot]:
    """With an end that can be closed: Ctrl-C must not leave calls under way."""
    yield from analyze(cache, selection, options)


def _show(
    cache: str, selection: Selection, outcome: Outcome, separator: bytes, top: int | None, *, as_json: bool
) -> None:
    if outcome.last is not None:
        progress, report = outcome.last.progress, outcome.last.report
        findings = design_findings(report, selection, separator)
        if as_json:
            whole = {
                "cache": cache,
                "selection": analyze_json.of_selection(selection),
                "stopped": outcome.why,
                **analyze_json.of_progress(progress),
                **analyze_json.of_report(report, top),
                "findings": analyze_json.of_findings(findings),
            }
            click.echo(json.dumps(whole, ensure_ascii=False, allow_nan=False))
        else:
            for line in analyze_tables.lines(progress, report, findings, top or TOP):
                click.echo(line)
    if outcome.why:
        click.echo(outcome.why, err=True)


def _rules(settings: Settings, cache: str) -> tuple[Rule, ...]:
    """The TTL rules of this cache, as they stand in the store. Raises StoreUnusable."""
    prepare_data_folder(settings)
    with closing(open_store(settings.database)) as store:
        found = ttl_rules.for_cache(store, cache)
    return tuple(Rule(one.pattern, one.low, one.high, one.reason, one.id) for one in found)
