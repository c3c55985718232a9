"""Keys that are rare in a large keyspace: a batch has some of them, and one in so many of all is asked all the same."""

from __future__ import annotations

from contextlib import closing, nullcontext

import pytest

from dashboard.cache.analysis import question
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.cache.analysing import by_pipelines, by_script, complete, opened_as, set_all
from tests.servers import Server

COMMON, RARE, EVERY = 20_000, 1_000, 32


@pytest.fixture
def filled(valkey: Server) -> Server:
    set_all(valkey, [b"common:%d" % number for number in range(COMMON)])
    with valkey.client() as client:
        client.execute_command("EVAL", "for i = 1, ARGV[1] do redis.call('SET', 'rare:' .. i, 'v') end", 0, RARE)
    return valkey


@pytest.mark.parametrize("scripts", [True, False], ids=["by script", "by pipelines"])
def test_some_of_them_are_asked(filled: Server, monkeypatch: pytest.MonkeyPatch, scripts: bool) -> None:
    monkeypatch.setattr(question, "ALL_ASKED", 0)
    cache = closing(Cache(parse_target(f"shop={filled.url}")))
    with cache if scripts else nullcontext(), opened_as(filled, "+@all" if scripts else "-@scripting") as opened:
        report = complete(opened, Selection(b"rare:*"))
    assert report.keys.value == RARE
    assert report.activity.sampled == EVERY
    # A batch of the walk has a few hundred keys, of which one in twenty-one is rare: fewer than 32 of them.
    assert sum(group.keys.value for group in report.activity.groups) == pytest.approx(RARE)
    asked = sum(group.keys.value for group in report.encodings)
    assert asked == pytest.approx(RARE)


@pytest.mark.parametrize("batch", [by_script, by_pipelines])
def test_one_in_so_many_on_the_average_whatever_a_batch_has(filled: Server, batch) -> None:  # type: ignore[no-untyped-def]
    asked = question.Question(Selection(b"rare:*"), every=EVERY)
    with closing(Cache(parse_target(f"shop={filled.url}"))) as cache:
        (node,) = cache.primaries()
        cursor, found, seen = 0, 0, 0
        while True:
            cursor, sums = batch(cache, node, asked, cursor, 200)
            found += sums.asked
            seen += len(sums.codes)
            if not cursor:
                break
    assert seen == RARE
    # RARE / EVERY = 31; a batch asks one key or none, by chance: within five standard deviations.
    assert 4 < found < 59
