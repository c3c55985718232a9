"""Findings about traffic: the hit ratio and its trend, clients, how busy the server is."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.findings.rule import CLIENTS, CONF, INFO, OWN, Rule
from dashboard.cache.statistics.picture import WINDOW_SECONDS, Finding, Picture, Span, window
from dashboard.cache.statistics.rates import Rates
from dashboard.cache.wording import count, number_of, percent, span

# Below 80 % a cache answers every fifth read or more from behind it: the usual alarm line of guides.
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
# The server's own idea of slow: slowlog-log-slower-than is 10 ms by default.
SLOW_COMMANDS_MS = 10.0


def hit_ratio(picture: Picture) -> Iterator[Finding]:
    """What it is, while there is nothing wrong with it."""
    recent = picture.recent
    if recent is None:
        return
    ratio = recent.hit_ratio
    if ratio is None or recent.reads < ENOUGH_READS:
        yield Finding("info", f"Too few reads {_lately(recent)} for a hit ratio ({count(recent.reads)}).")
        return
    trend, fall = _trend(picture, ratio)
    if ratio >= LOW_HIT_RATIO and fall < FALLING_POINTS:
        yield Finding("ok", f"Hit ratio {percent(ratio)} {_lately(recent)}{trend}.")


def hit_ratio_low(picture: Picture) -> Iterator[Finding]:
    recent, ratio = picture.recent, _ratio(picture)
    if recent is not None and ratio is not None and ratio < LOW_HIT_RATIO:
        trend, fall = _trend(picture, ratio)
        yield Finding(
            "warning",
            f"Hit ratio {percent(ratio)} {_lately(recent)}{trend if fall < FALLING_POINTS else ''}.",
            "Misses go to the source behind. Look for evictions, short TTLs, keys that are never written.",
            "statistics",
        )


def hit_ratio_falling(picture: Picture) -> Iterator[Finding]:
    before, ratio = picture.earlier, _ratio(picture)
    if ratio is None or before is None or before.hit_ratio is None or picture.recent is None:
        return
    _, fall = _trend(picture, ratio)
    if fall >= FALLING_POINTS:
        yield Finding(
            "warning",
            f"The hit ratio fell from {percent(before.hit_ratio)} in the {window(before)} before "
            f"to {percent(ratio)} {_lately(picture.recent)}.",
            "Look at what has changed: evictions, a release that reads other keys, keys that expired together.",
            "statistics",
        )


def connections_refused(picture: Picture) -> Iterator[Finding]:
    refused = _refused(picture)
    if refused:
        amount = sum(one.recent.change["rejected_connections"] for one in refused if one.recent)
        yield Finding(
            "critical",
            f"{number_of(amount, 'connection')} refused lately{picture.where(refused)}: "
            f"maxclients ({count(refused[0].latest.get('maxclients'))}) was reached.",
            "Use connection pools in the clients, or raise maxclients and the limit of open files.",
        )


def connections_many(picture: Picture) -> Iterator[Finding]:
    crowded = [one for one in picture.fresh if _crowd(one) >= MANY_CLIENTS]
    if crowded and not _refused(picture):
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
            "statistics",
        )


def slow_answer(picture: Picture) -> Iterator[Finding]:
    slow = [one for one in picture.fresh if one.latest.get("answer_seconds") > SLOW_ANSWER_SECONDS]
    if slow:
        longest = max(one.latest.get("answer_seconds") for one in slow)
        yield Finding(
            "warning",
            f"The last look at the server{picture.where(slow)} took {span(longest)}.",
            "A slow command, a fork, a swapping machine (LATENCY DOCTOR tells them), or the network.",
        )


def slow_commands(picture: Picture) -> Iterator[Finding]:
    p99 = picture.known.p99_ms
    if p99 is not None and p99 > SLOW_COMMANDS_MS:
        yield Finding(
            "warning",
            f"One command in a hundred takes more than {span(p99 / 1000)} on the server.",
            "Statistics says which commands; large values, KEYS, and scripts are the usual ones.",
            "statistics",
        )


def load(picture: Picture) -> Iterator[Finding]:
    recent, whole = picture.recent, picture.whole
    if recent is None or whole is None:
        return
    rate = count(recent.per_second("total_commands_processed"))
    up = span(whole.get("uptime_in_seconds"))
    yield Finding("ok", f"{rate} commands/s, {number_of(whole.get('connected_clients'), 'client')}, up for {up}.")


def stampede(picture: Picture) -> Iterator[Finding]:
    seen = picture.known.stampeded
    if seen is not None and seen.keys:
        yield Finding(
            "warning",
            f"A watch saw {number_of(seen.keys, 'key')} with a stampede in the last hour.",
            "Many readers made the same key again at once. The watch names each, and what would have helped.",
            "stampedes",
        )


RULES = (
    Rule("hit-ratio", "traffic", "The hit ratio, while it is good and holds.", "none", INFO, hit_ratio),
    Rule(
        "hit-ratio-low",
        "traffic",
        "The hit ratio is low.",
        f"below {percent(LOW_HIT_RATIO)}, of at least {ENOUGH_READS} reads",
        "https://www.netdata.cloud/guides/redis/redis-low-keyspace-hit-rate/",
        hit_ratio_low,
    ),
    Rule(
        "hit-ratio-falling",
        "traffic",
        "The hit ratio fell.",
        f"by {100 * FALLING_POINTS:g} points or more from one {span(WINDOW_SECONDS)} to the next",
        OWN,
        hit_ratio_falling,
    ),
    Rule("stampede", "traffic", "Keys had a stampede.", "any that a watch saw in the last hour", OWN, stampede),
    Rule("connections-refused", "traffic", "Connections were refused.", "any", INFO, connections_refused),
    Rule(
        "connections-many",
        "traffic",
        "Nearly as many clients as there may be.",
        f"{percent(MANY_CLIENTS)} of maxclients",
        CLIENTS,
        connections_many,
    ),
    Rule("blocked-clients", "traffic", "Clients wait in blocking commands.", "any", INFO, blocked),
    Rule(
        "busy-thread",
        "traffic",
        "The main thread is busy.",
        f"{percent(BUSY_THREAD)} of one core",
        "https://valkey.io/topics/latency/",
        busy,
    ),
    Rule("slow-answer", "traffic", "INFO took long.", f"more than {span(SLOW_ANSWER_SECONDS)}", OWN, slow_answer),
    Rule(
        "slow-commands",
        "traffic",
        "The commands' 99th percentile is high.",
        f"more than {SLOW_COMMANDS_MS:g} ms (slowlog-log-slower-than)",
        CONF,
        slow_commands,
    ),
    Rule("load", "traffic", "Commands a second and clients.", "none", INFO, load),
)


def _lately(recent: Rates) -> str:
    return "since the restart" if recent.restarted else f"over the last {window(recent)}"


def _ratio(picture: Picture) -> float | None:
    """The hit ratio where there were enough reads for one."""
    recent = picture.recent
    return recent.hit_ratio if recent is not None and recent.reads >= ENOUGH_READS else None


def _refused(picture: Picture) -> list[Span]:
    return [one for one in picture.fresh if one.recent and one.recent.change.get("rejected_connections", 0) > 0]


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
