"""The web pages: one module a resource, each with a `blueprint`."""

from __future__ import annotations

from importlib import import_module

from flask import Blueprint

RESOURCES = (
    "overview.home",
    "accounts.login",
    "accounts.account",
    "overview.overview",
    "overview.silences",
    "keys.keys",
    "keys.key",
    "keys.value",
    "analyses.analyses",
    "analyses.expiry",
    "analyses.memory",
    "analyses.comparison",
    "analyses.savings",
    "keys.exports",
    "retimings.retimings",
    "eviction.eviction",
    "statistics.statistics",
    "eviction.evidence",
    "eviction.traces",
    "listening.stampedes",
    "eviction.setting_previews",
    "eviction.setting_changes",
    "eviction.persistences",
    "eviction.trials",
    "listening.notifications",
    "listening.listeners",
    "invalidations.invalidations",
    "invalidations.undos",
    "invalidations.removals",
    "schedules.schedules",
    "events.events",
    "events.stream",
    "events.exports",
    "listening.messages",
    "analyses.ttl_rules",
    "jobs.jobs",
    "lab.lab",
    "lab.knobs",
    "lab.traffic",
    "lab.scenarios",
    "lab.comparisons",
    "accounts.audit",
    "accounts.operators",
    "accounts.tokens",
    "metrics",
    "api.routes",
)


def blueprints() -> list[Blueprint]:
    """Every resource's blueprint, in the order of RESOURCES."""
    modules = (import_module(f"{__name__}.{name}") for name in RESOURCES)
    return [module.blueprint for module in modules]
