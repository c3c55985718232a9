"""What a process counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dashboard.demo.counters import NAMES, Counters


def test_every_name_is_there_from_the_start_and_any_other_from_its_first_count() -> None:
    counters = Counters()
    assert counters.to_plain() == dict.fromkeys(NAMES, 0)
    counters.count("hits")
    counters.count("ack_ms_total", 1.5)
    counters.count("of its own", 3)
    counted = {name: n for name, n in counters.to_plain().items() if n}
    assert counted == {"hits": 1, "ack_ms_total": 1.5, "of its own": 3}


def test_threads_lose_no_count() -> None:
    counters = Counters()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [counters.count("hits") for _ in range(2000)], range(8)))
    assert counters.to_plain()["hits"] == 16_000
