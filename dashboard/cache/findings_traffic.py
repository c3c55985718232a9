"""Findings about traffic: the hit ratio and its trend, clients, how busy the server is."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.picture import Finding, Level, Picture, Span, window
from dashboard.cache.wording import count, number_of, percent, span

# Below 80 % a cache answers every fifth read or more from behind it: the usual alarm line of
# vendors' guides (Redis Enterprise and Datadog both name 0.8).
LOW_HIT_RATIO = 0.8
# A ratio of fewer reads than this jumps about by points from one window to the next.
ENOUGH_READS = 100
# Points of change between two windows: below the first it is called steady, above the second it is a warning.
STEADY_POINTS = 0.02
FALLING_POINTS = 0.05
# maxclients is a hard wall; nine tenths leave room for one deployment's double set of clients.
MANY_CLIENTS = 0.9
# Commands run in one thread: above nine tenths of a core, waiting times grow steeply.
BUSY_THREAD = 0.9
# INFO costs the server about 0.1 ms; a hundred milliseconds are a stall or a bad network.
SLOW_ANSWER_SECONDS = 0.1


def hit_ratio(picture: Picture) -> Iterator[Finding]:
    recent = picture.recent
    if recent is None:
        return
    ratio = recent.hit_ratio
    lately = "since the restart" if recent.restarted else f"over the last {window(recent)}"
    if ratio is None or recent.reads < ENOUGH_READS:
        yield Finding("info", f"Too few reads {lately} for a hit ratio ({count(recent.reads)}).")
        return
    trend, fall = _trend(picture, ratio)
    level: Level = "warning" if ratio < LOW_HIT_RATIO or fall >= FALLING_POINTS else "ok"
    advice = ""
    if level == "warning":
        advice = "Misses go to the source behind. Look for evictions, short TTLs, keys that are never written."
    yield Finding(level, f"Hit ratio {percent(ratio)} {lately}{trend}.", advice)


def connections(picture: Picture) -> Iterator[Finding]:
    refused = [one for one in picture.fresh if one.recent and one.recent.change.get("rejected_connections", 0) > 0]
    if refused:
        amount = sum(one.recent.change["rejected_connections"] for one in refused if one.recent)
        yield Finding(
            "critical",
            f"{number_of(amount, 'connection')} refused lately{picture.where(refused)}: "
            f"maxclients ({count(refused[0].latest.get('maxclients'))}) was reached.",
            "Use connection pools in the clients, or raise maxclients and the limit of open files.",
        )
        return
    crowded = [one for one in picture.fresh if _crowd(one) >= MANY_CLIENTS]
    if crowded:
        worst = max(crowded, key=_crowd)
        yield Finding(
            "warning",
            f"{count(worst.latest.get('connected_clients'))} of at most "
            f"{count(worst.latest.get('maxclients'))} clients are connected{picture.where(crowded)}: "
            "the next ones will be refused.",
            "Use connection pools in the clients, or raise maxclients and the limit of open files.",
        )


def blocked(picture: Picture) -> Iterator[Finding]:
    waiting = picture.whole.get("blocked_clients") if picture.whole else 0.0
    if waiting:
        verb = "waits" if waiting == 1 else "wait"
        yield Finding(
            "info",
            f"{number_of(waiting, 'client')} {verb} in a blocking command (BLPOP, XREAD, WAIT).",
            "Normal for queues, unexpected for a mere cache.",
        )


def busy(picture: Picture) -> Iterator[Finding]:
    spans = [one for one in picture.fresh if _thread(one) >= BUSY_THREAD]
    if spans:
        worst = max(spans, key=_thread)
        yield Finding(
            "warning",
            f"The main thread{picture.where(spans)} is busy {percent(min(_thread(worst), 1.0))} of the time: "
            "commands wait for each other.",
            "Look for slow commands (SLOWLOG), or spread the keys over more primaries.",
        )
    slow = [one for one in picture.fresh if one.latest.get("answer_seconds") > SLOW_ANSWER_SECONDS]
    if slow:
        longest = max(one.latest.get("answer_seconds") for one in slow)
        yield Finding(
            "warning",
            f"The last look at the server{picture.where(slow)} took {span(longest)}.",
            "A slow command, a fork, a swapping machine (LATENCY DOCTOR tells them), or the network.",
        )


def load(picture: Picture) -> Iterator[Finding]:
    recent, whole = picture.recent, picture.whole
    if recent is None or whole is None:
        return
    rate = count(recent.per_second("total_commands_processed"))
    up = span(whole.get("uptime_in_seconds"))
    yield Finding("ok", f"{rate} commands/s, {number_of(whole.get('connected_clients'), 'client')}, up for {up}.")


CHECKS = (hit_ratio, connections, blocked, busy, load)


def _trend(picture: Picture, ratio: float) -> tuple[str, float]:
    """(", steady" or how it moved against the window before, by how much it fell)."""
    before = picture.earlier
    if before is None or before.hit_ratio is None or before.reads < ENOUGH_READS:
        return "", 0.0
    fall = before.hit_ratio - ratio
    if abs(fall) < STEADY_POINTS:
        return ", steady", fall
    word = "down" if fall > 0 else "up"
    return f", {word} from {percent(before.hit_ratio)} in the {window(before)} before", fall


def _crowd(one: Span) -> float:
    most = one.latest.get("maxclients")
    return one.latest.get("connected_clients") / most if most else 0.0


def _thread(one: Span) -> float:
    return (one.recent.main_thread_share if one.recent else None) or 0.0
