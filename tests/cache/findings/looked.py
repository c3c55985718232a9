"""What findings say of real servers: readings of INFO as the worker takes them, put at moments of a test's choosing.

The figures are the server's own. Only when they were taken is arranged, so that no test waits for five minutes.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

from dashboard.cache.findings.rules import BY_ID, Finding, findings
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.statistics.info import Reading, parse, reading
from dashboard.cache.statistics.picture import Picture, picture
from dashboard.cache.statistics.rates import Rates, rates
from dashboard.jobs.looking import Looking
from dashboard.jobs.sampler import INFO
from tests.servers import HOST, Server

NOW = 1_800_000_000.0


def taken(server: Server, at: float = NOW) -> Reading:
    """INFO of a server, as if at that moment."""
    with closing(Cache(parse_target(f"main={server.url}"))) as cache:
        text = cache.execute(INFO, node=cache.primaries()[0])
    return reading(parse(text), at, f"{HOST}:{server.port}")


def looked(server: Server, options: str = "") -> Mapping[str, float]:
    """What the worker adds to samples once a minute."""
    with closing(Cache(parse_target(f"main={server.url}{options}"))) as cache:
        looking = Looking(cache)
        looking.look()
    return looking.figures.get(f"{HOST}:{server.port}", {})


def with_values(seen: Picture, **values: float) -> Picture:
    """The picture with more figures on each primary, such as those of looked()."""
    spans = tuple(
        replace(one, latest=replace(one.latest, values={**one.latest.values, **values})) for one in seen.spans
    )
    return replace(seen, spans=spans)


def now(*servers: Server) -> Picture:
    """Of one look at each."""
    return picture(NOW, 2.0, [taken(server) for server in servers], {}, {})


def between(server: Server, act: Callable[[], object], seconds: float = 300.0) -> Picture:
    """Of two looks, between which something is done, as if so many seconds had gone by."""
    before = taken(server, NOW - seconds)
    act()
    after = taken(server, NOW)
    return picture(NOW, 2.0, [after], {after.node: rates(before, after)}, {})


def two_windows(server: Server, first: Callable[[], object], second: Callable[[], object]) -> Picture:
    """Of three looks: what is done first happens in the five minutes before the last five."""
    start = taken(server, NOW - 600)
    first()
    middle = taken(server, NOW - 300)
    second()
    last = taken(server, NOW)
    recent: dict[str, Rates] = {last.node: rates(middle, last)}
    return picture(NOW, 2.0, [last], recent, {last.node: rates(start, middle)})


def said(rule: str, seen: Picture) -> Finding:
    """What a rule says, which has to be one thing."""
    assert rule in BY_ID
    found = [one for one in findings(seen) if one.rule == rule]
    assert len(found) == 1, [(one.rule, one.sentence) for one in findings(seen)]
    assert found[0].advice or found[0].level in ("ok", "info")
    return found[0]


def unsaid(rule: str, seen: Picture) -> None:
    """A rule has nothing to say."""
    assert rule in BY_ID
    found = [one.sentence for one in findings(seen) if one.rule == rule]
    assert not found, found


def plain(finding: Finding) -> str:
    return finding.sentence.replace("\u202f", " ")


_FILL = """
for i = ARGV[1], ARGV[2] do
  if ARGV[5] == '0' then redis.call('SET', ARGV[3] .. ':' .. i, ARGV[4])
  else redis.call('SET', ARGV[3] .. ':' .. i, ARGV[4], 'EX', ARGV[5]) end
end"""


def fill(server: Server, keys: int, size: int = 1000, ttl: int = 0, name: str = "k") -> None:
    """Write keys of so many bytes, 500 at a time: within a script nothing is evicted. What is refused is left out."""
    with server.client() as client, client.pipeline(transaction=False) as pipe:
        for first in range(0, keys, 500):
            last = min(first + 500, keys) - 1
            pipe.execute_command("EVAL", _FILL, 0, first, last, name, "x" * size, ttl)
        pipe.execute(raise_on_error=False)


@contextlib.contextmanager
def paused(server: Server) -> Iterator[None]:
    """A process that does nothing for one block."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)
