"""What the visitors ask for, when, and what is counted of it."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from itertools import pairwise

import pytest

from dashboard.demo.visitors.arrivals import BURST_SECONDS, CYCLE_SECONDS, LATEST_SECONDS, Arrivals
from dashboard.demo.visitors.latencies import ACCURACY, Latencies
from dashboard.demo.visitors.mix import VISITORS, Mix, Request
from dashboard.demo.visitors.tally import Ledger, Tally
from dashboard.demo.visitors.traffic import SKEW, WRITE_SHARE, BadTraffic, ShopSize, Traffic
from dashboard.demo.visitors.zipf import Zipf

SIZE = ShopSize(users=1000, products=500)


def _mix(seed: int = 1, **traffic: float) -> Mix:
    return Mix(SIZE, Traffic(SIZE.users, SIZE.products).turned(traffic, SIZE), seed)


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
    first, again, other = _mix(1), _mix(1), _mix(2)
    requests = [first.next() for _ in range(500)]
    assert [again.next() for _ in range(500)] == requests
    assert [other.next() for _ in range(500)] != requests


def test_a_mix_reads_everything_and_writes_in_between() -> None:
    mix = _mix()
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
    assert writes / kinds.total() == pytest.approx(WRITE_SHARE, abs=0.01)


def test_a_mix_sends_proper_bodies_and_session_ids() -> None:
    mix = _mix()
    for request in (mix.next() for _ in range(5000)):
        assert re.fullmatch(r"([0-9a-f]{16})?", request.sid)
        assert (request.body is None) == (request.method == "GET")
        if request.body is not None:
            assert request.sid
            assert isinstance(json.loads(request.body), dict)


def test_a_request_names_the_row_whose_version_its_answer_says() -> None:
    named: dict[str, set[str | None]] = {}
    mix = _mix(write_share=0.3)
    for request in (mix.next() for _ in range(10_000)):
        kind = re.sub(r"SKU-\d+|\d+|\?.*", "N", request.path)
        named.setdefault(kind, set()).add(request.row[0] if request.row else None)
        if request.row and kind.endswith("N"):
            assert request.path.endswith(f"/{request.row[1]}")
    assert named.pop("/users/N") == {"user", None}  # None: one of the users that there are not
    assert named == {
        "/": {None},
        "/catalogue": {None},
        "/searchN": {None},
        "/carts": {None},
        "/users/N/posts": {"posts"},
        "/products/N": {"product"},
        "/prices/N": {"price"},
        "/orders": {"product"},
    }


def test_visitors_may_ask_for_users_and_products_alone() -> None:
    size = ShopSize(300, 400)
    mix = Mix(size, Traffic(10, 5, write_share=0.0, row_share=1.0, skew=0.0), 1)
    asked = {re.sub(r"\d+", "N", mix.next().path) for _ in range(500)}
    assert asked == {"/users/N", "/products/N"}


def test_the_share_of_writes_the_rows_and_the_hot_product_can_be_turned() -> None:
    mix = _mix()
    mix.turn(Traffic(10, 5, write_share=0.5, hot_share=0.8, skew=0.0), redraw=True)
    requests = [mix.next() for _ in range(10_000)]
    assert sum(request.method != "GET" for request in requests) / len(requests) == pytest.approx(0.5, abs=0.03)
    rows = Counter(request.row for request in requests if request.row)
    assert {row for kind, row in rows if kind == "user"} == set(range(1, 11))
    assert {row for kind, row in rows if kind == "product"} == set(range(1, 6))
    about_hot = sum(_is_about(request, product=1) for request in requests)
    assert about_hot / len(requests) == pytest.approx(0.8, abs=0.1)


def _is_about(request: Request, product: int) -> bool:
    return request.row in (("product", product), ("price", f"SKU-{product:05d}"))


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"rate": 0}, "rate must be a number from 0.1 to 5000"),
        ({"rate": float("nan")}, "rate must be a number"),
        ({"rate": "fast"}, "rate must be a number"),
        ({"rate": True}, "rate must be a number"),
        ({"rate": 10**400}, "rate must be a number"),
        ({"users": 1001}, "users must be a whole number from 1 to 1000"),
        ({"products": 1.5}, "products must be a whole number from 1 to 500"),
        ({"write_share": 1.1}, "write_share must be a number from 0 to 1"),
        ({"weather": 1}, "the traffic has no weather"),
        ([], "the traffic must be a JSON object"),
    ],
)
def test_what_traffic_cannot_be_is_refused_in_a_sentence(wanted: object, sentence: str) -> None:
    with pytest.raises(BadTraffic, match=sentence):
        Traffic(1000, 500).turned(wanted, SIZE)


def test_visitors_come_and_go() -> None:
    mix = _mix()
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


def test_a_turned_rate_holds_from_that_moment() -> None:
    arrivals = Arrivals(1.0, 0.0, random.Random(1))
    assert arrivals.take(0.0)[0] > 0
    arrivals.turn(500.0, 1.0, now=3.0)
    due = [arrivals.take(0.0)[0] for _ in range(5000)]
    assert due[0] == pytest.approx(3.0, abs=0.05)
    assert due[-1] - 3.0 == pytest.approx(10.0, rel=0.05)


def test_bursts_multiply_the_rate_at_the_beginning_of_each_cycle() -> None:
    arrivals, now, within, outside = Arrivals(100, 50.0, random.Random(1), burst_factor=4.0), 0.0, 0, 0
    while now < 50.0 + 40 * CYCLE_SECONDS:
        now, _dropped = arrivals.take(0.0)
        is_burst = (now - 50.0) % CYCLE_SECONDS < BURST_SECONDS
        within, outside = within + is_burst, outside + (not is_burst)
    assert within / (40 * BURST_SECONDS) == pytest.approx(400, rel=0.03)
    assert outside / (40 * (CYCLE_SECONDS - BURST_SECONDS)) == pytest.approx(100, rel=0.03)


def test_a_percentile_is_right_within_the_accuracy_and_any_two_countings_can_be_added() -> None:
    source = random.Random(1)
    several = [Latencies() for _ in range(3)]
    exact = [source.lognormvariate(-5, 1) for _ in range(9000)]
    for number, seconds in enumerate(exact):
        several[number % 3].add(seconds)
    exact.sort()
    for share, found in zip((0.5, 0.99, 1.0), Latencies.together(several).percentiles(0.5, 0.99, 1.0), strict=True):
        assert found == pytest.approx(exact[round(share * 9000) - 1], rel=ACCURACY)
    assert Latencies().percentiles(0.5, 0.99) == [None, None]


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
    assert re.sub(r"p\d\d [\d.]+ ms", "p", line) == "11 req/s  hit ratio 75.0 %  p  p  errors 5"
    p50, p99 = (float(found) for found in re.findall(r"p\d\d ([\d.]+) ms", line))
    assert p50 == pytest.approx(47.5, abs=1)
    assert p99 == pytest.approx(99, abs=1)


def test_what_is_stale_or_a_copy_did_not_wait_for_the_database() -> None:
    ledger = Ledger()
    for source in ("hit", "stale", "copy", "miss", "bypass"):
        ledger.answered(0.001, 200, source)
    assert ledger.take().hit_ratio == 0.6


def test_a_report_of_nothing_claims_nothing() -> None:
    assert Tally().line(10) == "0 req/s  hit ratio -  p50 -  p99 -  errors 0"


def test_a_report_names_what_was_dropped_and_the_next_begins_anew() -> None:
    ledger = Ledger()
    ledger.dropped(7)
    ledger.judged(stale=True)
    ledger.judged(stale=False)
    assert ledger.take().line(10).endswith("errors 0  stale 1  dropped 7")
    assert ledger.take().line(10) == Tally().line(10)
