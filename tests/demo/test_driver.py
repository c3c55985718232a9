"""What the visitors ask for, when, and what is counted of it."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from itertools import pairwise

import pytest

from dashboard.demo.arrivals import LATEST_SECONDS, Arrivals
from dashboard.demo.mix import SKEW, VISITORS, Mix
from dashboard.demo.tally import Ledger, Tally
from dashboard.demo.zipf import Zipf


def test_zipf_gives_each_rank_its_share() -> None:
    n, draws = 1000, 50_000
    zipf = Zipf(n, SKEW, random.Random(1))
    ranks = Counter(zipf.rank() for _ in range(draws))
    weights = [rank**-SKEW for rank in range(1, n + 1)]
    for rank in (1, 2, 5, 20):
        expected = weights[rank - 1] / sum(weights)
        assert ranks[rank] / draws == pytest.approx(expected, abs=4 * (expected / draws) ** 0.5)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 97, 400, 20_000])
def test_zipf_scatters_the_popular_over_all_ids_and_leaves_none_out(n: int) -> None:
    zipf = Zipf(n, SKEW, random.Random(1))
    assert sorted(zipf.id_of(rank) for rank in range(1, n + 1)) == list(range(1, n + 1))
    if n > 100:
        assert max(zipf.id_of(rank) for rank in range(1, 11)) > n / 2


def test_zipf_draws_only_ids_that_exist() -> None:
    zipf = Zipf(10, SKEW, random.Random(1))
    assert {zipf.draw() for _ in range(5000)} == set(range(1, 11))


def test_a_mix_of_one_seed_is_always_the_same() -> None:
    first, again, other = Mix(1000, 500, 1), Mix(1000, 500, 1), Mix(1000, 500, 2)
    requests = [first.next() for _ in range(500)]
    assert [again.next() for _ in range(500)] == requests
    assert [other.next() for _ in range(500)] != requests


def test_a_mix_reads_everything_and_writes_in_between() -> None:
    mix = Mix(1000, 500, 1)
    kinds = Counter(
        request.method + " " + re.sub(r"SKU-\d+|\d+|\?.*", "N", request.path)
        for request in (mix.next() for _ in range(20_000))
    )
    assert set(kinds) == {
        "GET /",
        "GET /catalogue",
        "GET /users/N",
        "GET /users/N/posts",
        "GET /products/N",
        "GET /prices/N",
        "GET /searchN",
        "POST /carts",
        "POST /orders",
        "PUT /prices/N",
        "PUT /users/N",
        "POST /users/N/posts",
    }
    writes = sum(count for kind, count in kinds.items() if not kind.startswith("GET"))
    assert 0.03 < writes / kinds.total() < 0.07


def test_a_mix_sends_proper_bodies_and_session_ids() -> None:
    mix = Mix(1000, 500, 1)
    for request in (mix.next() for _ in range(5000)):
        assert re.fullmatch(r"([0-9a-f]{16})?", request.sid)
        assert (request.body is None) == (request.method == "GET")
        if request.body is not None:
            assert request.sid
            assert isinstance(json.loads(request.body), dict)


def test_visitors_come_and_go() -> None:
    mix = Mix(1000, 500, 1)
    sids = {mix.next().sid for _ in range(50_000)}
    assert VISITORS < len(sids) < 1.2 * VISITORS


def test_arrivals_come_at_the_set_rate_whatever_the_answers_take() -> None:
    arrivals, now, due = Arrivals(150, 0.0, random.Random(1)), 0.0, [0.0]
    while now < 200:
        moment, dropped = arrivals.take(now)
        assert dropped == 0
        due.append(moment)
        now = max(now, moment)
    assert len(due) / 200 == pytest.approx(150, rel=0.03)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert min(gaps) > 0
    # Of a Poisson process 1/e of the gaps are longer than their mean.
    assert sum(gap > 1 / 150 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)


def test_arrivals_that_could_not_be_sent_for_long_are_dropped_and_counted() -> None:
    arrivals = Arrivals(150, 0.0, random.Random(1))
    due, dropped = arrivals.take(100.0)
    assert due >= 100.0 - LATEST_SECONDS
    assert dropped == pytest.approx(150 * (100 - LATEST_SECONDS), rel=0.05)
    assert arrivals.take(100.0)[1] == 0


def test_a_report_says_rate_hit_ratio_latency_and_errors() -> None:
    ledger = Ledger()
    for number in range(1, 101):
        ledger.answered(number / 1000, 200, "hit" if number <= 75 else "miss")
    for status in (200, 404):
        ledger.answered(0.001, status, None)
    for status in (400, 429, 500, 503):
        ledger.answered(0.001, status, None)
    ledger.failed()
    line = ledger.take().line(10)
    assert line == "11 req/s  hit ratio 75.0 %  p50 48.0 ms  p99 99.0 ms  errors 5"


def test_a_report_of_nothing_claims_nothing() -> None:
    assert Tally().line(10) == "0 req/s  hit ratio -  p50 -  p99 -  errors 0"


def test_a_report_names_what_was_dropped_and_the_next_begins_anew() -> None:
    ledger = Ledger()
    ledger.dropped(7)
    assert ledger.take().line(10).endswith("errors 0  dropped 7")
    assert ledger.take() == Tally()
