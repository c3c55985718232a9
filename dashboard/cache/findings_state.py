"""Findings about the servers' state: lost, loading, restarted, not replicating, not able to save."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.picture import WINDOW_SECONDS, Finding, Picture
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


def replication(picture: Picture) -> Iterator[Finding]:
    replicas = [one for one in picture.fresh if not one.latest.values.get("primary", 1.0)]
    cut = [one for one in replicas if not one.latest.values.get("primary_link", 1.0)]
    if cut:
        yield Finding(
            "critical",
            f"The link to the primary is down{picture.where(cut)}: this replica serves old data.",
            "Look at master_host in INFO replication, the network between, and the replica's log.",
        )
    elif replicas:
        yield Finding("info", f"This address is a replica{picture.where(replicas)}: figures are its own, writes fail.")
    missing = [one for one in picture.fresh if one.latest.get("replicas_online") < one.latest.get("connected_slaves")]
    if missing:
        away = sum(one.latest.get("connected_slaves") - one.latest.get("replicas_online") for one in missing)
        yield Finding(
            "warning",
            f"{number_of(away, 'replica')} not in sync{picture.where(missing)} (state other than online).",
            "A full synchronisation may be under way; if it repeats, enlarge repl-backlog-size.",
        )
    late = [one for one in picture.fresh if one.latest.get("replica_lag") > LAG_SECONDS]
    if late:
        lag = max(one.latest.get("replica_lag") for one in late)
        yield Finding(
            "warning",
            f"A replica{picture.where(late)} is {span(lag)} behind.",
            "Check the replica's load and the network; a failover now would lose that much.",
        )


def persistence(picture: Picture) -> Iterator[Finding]:
    failed = [one for one in picture.fresh if not one.latest.values.get("rdb_ok", 1.0)]
    if failed:
        yield Finding(
            "critical",
            f"The last snapshot (RDB) failed{picture.where(failed)}: "
            "writes are refused with MISCONF while stop-writes-on-bgsave-error is on.",
            'Its log says why: a full disk, or no memory to fork. A mere cache needs no snapshots (save "").',
        )
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


CHECKS = (silent, loading, restarted, replication, persistence, denied)


def _reasons(picture: Picture) -> str:
    return "Why: " + "; ".join(sorted(set(picture.denied.values()))) + "."
