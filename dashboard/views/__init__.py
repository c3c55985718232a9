"""The web pages: one module a resource, each with a `blueprint`."""

from __future__ import annotations

from importlib import import_module

from flask import Blueprint

RESOURCES = (
    "home",
    "login",
    "account",
    "overview",
    "silences",
    "keys",
    "key",
    "value",
    "analyses",
    "expiry",
    "memory",
    "comparison",
    "savings",
    "exports",
    "retimings",
    "eviction",
    "statistics",
    "eviction_evidence",
    "eviction_traces",
    "stampedes",
    "setting_previews",
    "setting_changes",
    "persistences",
    "trials",
    "notifications",
    "listeners",
    "invalidations",
    "undos",
    "removals",
    "schedules",
    "events",
    "event_stream",
    "event_exports",
    "messages",
    "ttl_rules",
    "jobs",
    "lab",
    "lab_knobs",
    "lab_traffic",
    "lab_scenarios",
    "lab_comparisons",
    "audit",
    "operators",
    "tokens",
    "metrics",
    "api.routes",
)


def blueprints() -> list[Blueprint]:
    """Every resource's blueprint, in the order of RESOURCES."""
    modules = (import_module(f"{__name__}.{name}") for name in RESOURCES)
    return [module.blueprint for module in modules]
