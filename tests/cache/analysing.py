"""One batch of an analysis each way, and whole analyses, for tests that compare them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from dashboard.cache.analysis.plain import batch_by_pipelines
from dashboard.cache.analysis.report import Report, Snapshot
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.analysis.script import batch_by_script
from dashboard.cache.analysis.sums import Question, Sums
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.servers.calls import Step, Visited
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.line import packed
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from tests.servers import HOST, Server

ALL_OF_IT = 100_000
SET_ALL = "for i = 1, #ARGV do redis.call('SET', ARGV[i], 'v') end"


def set_all(server: Server, keys: Sequence[bytes]) -> None:
    """Exactly these keys, one byte each."""
    with server.client() as client:
        client.flushall()
        client.execute_command("EVAL", SET_ALL, 0, *keys)


@contextmanager
def opened_as(server: Server, rules: str, keys: str = "~*") -> Iterator[Cache]:
    """The server as a user sees it who has these ACL rules on top of everything."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", keys, "&*", "+@all", *rules.split())
    with closing(Cache(parse_target(f"shop=redis://limited:pw@{HOST}:{server.port}"))) as cache:
        yield cache


def by_script(
    cache: Cache,
    node: Node,
    question: Question,
    cursor: int = 0,
    count: int = ALL_OF_IT,
    *,
    origin_ms: int = 0,
    biggest: int = 0,
) -> tuple[int, Sums]:
    """(next cursor, sums) of one batch by script."""
    step = batch_by_script(cache, question, cursor, count, command="EVAL_RO", origin_ms=origin_ms, biggest=biggest)
    return _driven(cache, node, step)


def by_pipelines(
    cache: Cache,
    node: Node,
    question: Question,
    cursor: int = 0,
    count: int = ALL_OF_IT,
    *,
    origin_ms: int = 0,
    biggest: int = 0,
) -> tuple[int, Sums]:
    """(next cursor, sums) of one batch by pipelines."""
    step = batch_by_pipelines(cache, question, cursor, count, origin_ms=origin_ms, biggest=biggest)
    return _driven(cache, node, step)


def _driven(cache: Cache, node: Node, step: Step[Sums]) -> tuple[int, Sums]:
    try:
        commands = next(step)
        while True:
            commands = step.send(packed(cache, node, commands))
    except StopIteration as end:
        visited: Visited[Sums] = end.value
        return visited.cursor, visited.found


def analysed(
    cache: Cache,
    selection: Selection | None = None,
    *,
    rules: tuple[Rule, ...] = (),
    separator: bytes = b":",
    hold_ms: float = 1.0,
) -> Snapshot:
    """The last snapshot of a whole analysis, at full speed."""
    options = Options(Budget(share=1.0, hold_ms=hold_ms), separator=separator, rules=rules, every=0)
    return list(analyze(cache, selection or Selection(), options))[-1]


def complete(
    cache: Cache, selection: Selection | None = None, *, rules: tuple[Rule, ...] = (), hold_ms: float = 1.0
) -> Report:
    """The report of a whole analysis, which must have come to its end."""
    last = analysed(cache, selection, rules=rules, hold_ms=hold_ms)
    assert last.progress.complete, last.progress.lost
    return last.report
