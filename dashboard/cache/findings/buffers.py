"""Findings about what clients cost in memory: buffers, and clients that were disconnected for theirs."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.findings.rule import CLIENTS, OWN, Rule
from dashboard.cache.statistics.fullness import room
from dashboard.cache.statistics.picture import Finding, Picture, Span
from dashboard.cache.wording import number_of, percent, size

# Buffers count against maxmemory: what they take, keys are evicted for.
BUFFER_SHARE = 0.1
ENOUGH_BYTES = 16 * 1024 * 1024


def big_buffers(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if _buffers(one) >= max(BUFFER_SHARE * _limit(one), ENOUGH_BYTES)]
    if spans:
        worst = max(spans, key=_buffers)
        replicas = worst.latest.get("mem_clients_slaves")
        most = "replicas" if replicas > worst.latest.get("mem_clients_normal") else "clients that read too slowly"
        yield Finding(
            "warning",
            f"Buffers of clients take {size(_buffers(worst))}{picture.where(spans)}, most of it of {most}: "
            "keys are evicted to make room for them.",
            "CLIENT LIST names them (omem, tot-mem). Set client-output-buffer-limit, and maxmemory-clients.",
            "eviction",
        )


def clients_evicted(picture: Picture) -> Iterator[Finding]:
    spans = _changed(picture, "evicted_clients")
    if spans:
        yield Finding(
            "warning",
            f"{number_of(_amount(spans, 'evicted_clients'), 'client was', 'clients were')} disconnected lately"
            f"{picture.where(spans)} because all clients together took more than maxmemory-clients.",
            "Read large replies in parts, or raise maxmemory-clients.",
            "eviction",
        )


def output_limit(picture: Picture) -> Iterator[Finding]:
    name = "client_output_buffer_limit_disconnections"
    spans = _changed(picture, name)
    if spans:
        yield Finding(
            "warning",
            f"{number_of(_amount(spans, name), 'client was', 'clients were')} disconnected lately"
            f"{picture.where(spans)} because its replies waited in too large a buffer.",
            "A subscriber, a replica or a MONITOR that reads too slowly; client-output-buffer-limit sets how much may "
            "wait.",
            "listeners",
        )


RULES = (
    Rule(
        "big-buffers",
        "traffic",
        "Buffers of clients and replicas take much memory.",
        f"{percent(BUFFER_SHARE)} of maxmemory (or of the machine), and at least {size(ENOUGH_BYTES)}",
        OWN,
        big_buffers,
    ),
    Rule("clients-evicted", "traffic", "maxmemory-clients disconnected clients.", "any", CLIENTS, clients_evicted),
    Rule("output-limit", "traffic", "client-output-buffer-limit disconnected clients.", "any", CLIENTS, output_limit),
)


def _buffers(one: Span) -> float:
    return one.latest.get("mem_clients_normal") + one.latest.get("mem_clients_slaves")


def _limit(one: Span) -> float:
    return one.latest.get("maxmemory") or room(one)


def _changed(picture: Picture, name: str) -> list[Span]:
    return [one for one in picture.fresh if one.recent and one.recent.change.get(name, 0.0) > 0]


def _amount(spans: list[Span], name: str) -> float:
    return sum(one.recent.change[name] for one in spans if one.recent)
