"""Findings about the servers' state: lost, loading, restarted, not replicating, not able to save."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.findings.rule import CONF, INFO, OWN, Rule
from dashboard.cache.statistics.picture import STALE_PERIODS, WINDOW_SECONDS, Finding, Picture, Span
from dashboard.cache.wording import number_of, percent, span

# min-replicas-max-lag is 10 s by default: a replica further behind no longer counts as a good one.
LAG_SECONDS = 10.0


def stale(picture: Picture) -> Iterator[Finding]:
    """Without fresh samples: what a look at the server itself said, or that nobody samples."""
    if not picture.stale:
        return
    since = f"No sample for {span(picture.age)}" if picture.newest is not None else "No sample yet"
    if picture.trouble:
        sentence, advice = picture.trouble
        yield Finding("critical", sentence, advice)
        if picture.newest is not None:
            yield Finding("info", f"{since}: figures and charts show what was before.")
        return
    yield Finding(
        "critical" if picture.newest is not None else "warning",
        f"{since}: is the worker running?",
        "Samples are taken by `cachedeck worker`, which `cachedeck up` starts too; see its log.",
    )


def silent(picture: Picture) -> Iterator[Finding]:
    for one in picture.silent:
        yield Finding(
            "critical",
            f"No answer from {one.name} for {span(picture.now - one.latest.at)}; totals leave it out.",
            "If it does not come back its slots are served by nobody, unless a replica takes over.",
        )


def loading(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if one.latest.get("loading")]
    if spans:
        last = max(spans, key=lambda one: one.latest.get("loading_eta_seconds"))
        done = percent(last.latest.get("loading_loaded_perc") / 100)
        left = span(last.latest.get("loading_eta_seconds"))
        yield Finding(
            "critical",
            f"The data set is being loaded{picture.where(spans)}: {done} done, about {left} left. "
            "Commands are refused until then.",
            "Wait; the page goes on by itself.",
        )


def restarted(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if one.latest.get("uptime_in_seconds") < WINDOW_SECONDS]
    if spans:
        youngest = min(one.latest.get("uptime_in_seconds") for one in spans)
        yield Finding(
            "warning",
            f"Started {span(youngest)} ago{picture.where(spans)}: expect a low hit ratio until the cache is warm.",
            "If nobody restarted it on purpose, its log and the kernel's (out of memory) say why it stopped.",
        )


def link_down(picture: Picture) -> Iterator[Finding]:
    cut = [one for one in _replicas(picture) if not one.latest.values.get("primary_link", 1.0)]
    if cut:
        yield Finding(
            "critical",
            f"The link to the primary is down{picture.where(cut)}: this replica serves old data.",
            "Look at master_host in INFO replication, the network between, and the replica's log.",
        )


def is_replica(picture: Picture) -> Iterator[Finding]:
    replicas = _replicas(picture)
    if replicas and all(one.latest.values.get("primary_link", 1.0) for one in replicas):
        yield Finding("info", f"This address is a replica{picture.where(replicas)}: figures are its own, writes fail.")


def not_in_sync(picture: Picture) -> Iterator[Finding]:
    missing = [one for one in picture.fresh if one.latest.get("replicas_online") < one.latest.get("connected_slaves")]
    if missing:
        away = sum(one.latest.get("connected_slaves") - one.latest.get("replicas_online") for one in missing)
        yield Finding(
            "warning",
            f"{number_of(away, 'replica')} not in sync{picture.where(missing)} (state other than online).",
            "A full synchronisation may be under way; if it repeats, enlarge repl-backlog-size.",
        )


def replica_late(picture: Picture) -> Iterator[Finding]:
    late = [one for one in picture.fresh if one.latest.get("replica_lag") > LAG_SECONDS]
    if late:
        lag = max(one.latest.get("replica_lag") for one in late)
        yield Finding(
            "warning",
            f"A replica{picture.where(late)} is {span(lag)} behind.",
            "Check the replica's load and the network; a failover now would lose that much.",
        )


def snapshot_failed(picture: Picture) -> Iterator[Finding]:
    failed = [one for one in picture.fresh if not one.latest.values.get("rdb_ok", 1.0)]
    if failed:
        yield Finding(
            "critical",
            f"The last snapshot (RDB) failed{picture.where(failed)}: "
            "writes are refused with MISCONF while stop-writes-on-bgsave-error is on.",
            'Its log says why: a full disk, or no memory to fork. A mere cache needs no snapshots (save "").',
        )


def append_file_failed(picture: Picture) -> Iterator[Finding]:
    append = [one for one in picture.fresh if not one.latest.values.get("aof_ok", 1.0)]
    if append:
        yield Finding(
            "critical",
            f"The append-only file could not be written{picture.where(append)}: writes are refused.",
            "Its log says why: mostly a full disk.",
        )


def denied(picture: Picture) -> Iterator[Finding]:
    if picture.denied:
        names = ", ".join(sorted(picture.denied))
        yield Finding(
            "info",
            f"Not available here: {names}.",
            "Screens that need them say so and show everything else. " + _reasons(picture),
        )


RULES = (
    Rule(
        "no-samples",
        "state",
        "No fresh samples, and what a look at the server says.",
        f"none for {STALE_PERIODS} sampling periods",
        OWN,
        stale,
    ),
    Rule("no-answer", "state", "A primary does not answer while others do.", "as no-samples", OWN, silent),
    Rule("loading", "state", "The data set is being loaded.", "any", INFO, loading),
    Rule("restarted", "state", "The server started lately.", f"less than {span(WINDOW_SECONDS)} ago", OWN, restarted),
    Rule("link-down", "state", "A replica has lost its primary.", "any", INFO, link_down),
    Rule("is-replica", "state", "The address is that of a replica.", "any", INFO, is_replica),
    Rule("replica-not-in-sync", "state", "A replica is connected and not online.", "any", INFO, not_in_sync),
    Rule(
        "replica-late",
        "state",
        "A replica acknowledges late.",
        f"more than {span(LAG_SECONDS)} (min-replicas-max-lag)",
        CONF,
        replica_late,
    ),
    Rule("snapshot-failed", "state", "The last RDB snapshot failed.", "any", INFO, snapshot_failed),
    Rule("append-file-failed", "state", "The append-only file was not written.", "any", INFO, append_file_failed),
    Rule("denied", "state", "Commands are denied to Cachedeck.", "any", OWN, denied),
)


def _replicas(picture: Picture) -> list[Span]:
    return [one for one in picture.fresh if not one.latest.values.get("primary", 1.0)]


def _reasons(picture: Picture) -> str:
    return "Why: " + "; ".join(sorted(set(picture.denied.values()))) + "."
