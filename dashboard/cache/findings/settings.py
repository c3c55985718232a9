"""Findings about settings: nodes that differ, what a restart would lose, trials that should have ended."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.findings.rule import OWN, Rule
from dashboard.cache.statistics.picture import Finding, Picture
from dashboard.cache.wording import number_of, size, span

# The worker looks every second; what is so much later is held up, or there is no worker.
OVERDUE_SECONDS = 10.0
_REPLICATION = "https://valkey.io/topics/replication/"


def replica_policy(picture: Picture) -> Iterator[Finding]:
    yield from _replicas_other(
        picture,
        "replicas_other_policy",
        "another maxmemory-policy",
        "after a failover it evicts by another rule, or writes fail",
    )


def replica_maxmemory(picture: Picture) -> Iterator[Finding]:
    yield from _replicas_other(
        picture,
        "replicas_other_maxmemory",
        "another maxmemory",
        "after a failover it evicts sooner, or takes more memory than it should",
    )


def _replicas_other(picture: Picture, name: str, what: str, then: str) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if one.latest.get(name)]
    if spans:
        amount = number_of(sum(one.latest.get(name) for one in spans), "replica has", "replicas have")
        yield Finding(
            "warning",
            f"{amount} {what} than the primary{picture.where(spans)}: {then}.",
            "Set it again on Eviction, with replicas.",
            "eviction",
        )


def primaries_differ(picture: Picture) -> Iterator[Finding]:
    policies = {one.policy for one in picture.fresh if one.policy}
    limits = {one.latest.get("maxmemory") for one in picture.fresh}
    told = []
    if len(policies) > 1:
        told.append(f"policies ({', '.join(sorted(policies))})")
    if len(limits) > 1:
        told.append(f"maxmemory ({', '.join(size(one) if one else 'none' for one in sorted(limits))})")
    if told:
        yield Finding(
            "warning",
            f"The primaries have different {' and '.join(told)}: the same key fares differently on each.",
            "Set one value on all of them.",
            "eviction",
        )


def not_in_file(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if one.latest.get("settings_unsaved")]
    if spans:
        most = max(one.latest.get("settings_unsaved") for one in spans)
        yield Finding(
            "info",
            f"{number_of(most, 'setting differs', 'settings differ')} from the configuration file"
            f"{picture.where(spans)}: a restart takes back what is running.",
            "Eviction says which, and writes them into the file if that is wanted (CONFIG REWRITE).",
            "eviction",
        )


def trial_stuck(picture: Picture) -> Iterator[Finding]:
    for one in picture.known.trials:
        if one.stuck:
            yield Finding(
                "critical",
                f"Trial {one.number} ({one.what}) could not be taken back on every node: some still have what was "
                "tried.",
                "It is tried again and again; its page says which nodes do not answer.",
                "trials",
                number=one.number,
            )


def trial_overdue(picture: Picture) -> Iterator[Finding]:
    for one in picture.known.trials:
        late = picture.now - one.ends_at
        if not one.stuck and late > OVERDUE_SECONDS:
            yield Finding(
                "critical",
                f"Trial {one.number} ({one.what}) should have ended {span(late)} ago: is the worker running?",
                "The worker takes it back as soon as it starts; its page has a button that does so now.",
                "trials",
                number=one.number,
            )


RULES = (
    Rule("replica-policy", "settings", "A replica has another policy.", "any", _REPLICATION, replica_policy),
    Rule("replica-maxmemory", "settings", "A replica has another maxmemory.", "any", _REPLICATION, replica_maxmemory),
    Rule("primaries-differ", "settings", "Primaries have different limits or policies.", "any", OWN, primaries_differ),
    Rule(
        "settings-not-in-file",
        "settings",
        "A restart would lose settings.",
        "any, where the file can be read",
        "https://valkey.io/commands/config-rewrite/",
        not_in_file,
    ),
    Rule("trial-stuck", "settings", "A trial could not be taken back.", "any", OWN, trial_stuck),
    Rule(
        "trial-overdue",
        "settings",
        "A trial should have ended.",
        f"more than {span(OVERDUE_SECONDS)} ago",
        OWN,
        trial_overdue,
    ),
)
