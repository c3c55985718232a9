"""The circuit breaker: closed, open, half-open, one probe at a time, each rest longer than the one before."""

from __future__ import annotations

import threading

import pytest

from dashboard.demo.caching.breaker import LONGEST_REST_SECONDS, REST_SECONDS, Breaker
from dashboard.demo.caching.remote import Refused, Unavailable
from tests.demo.table import Clock, cached
from tests.servers import HOST, Server, free_port


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def permitted(breaker: Breaker) -> int:
    permit = breaker.permit()
    assert permit is not None
    return permit


def fail(breaker: Breaker) -> None:
    breaker.report(permitted(breaker), failed=True)


def test_closed_it_lets_all_through_and_a_failure_opens_it_for_its_rest(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        assert breaker.report(permitted(breaker), failed=False) is None
    assert breaker.report(permitted(breaker), failed=True) == "open"
    assert (breaker.state, breaker.permit()) == ("open", None)
    clock.now += REST_SECONDS - 0.01
    assert breaker.permit() is None


def test_after_its_rest_one_probe_goes_through_and_its_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += REST_SECONDS
    probe = permitted(breaker)
    assert (breaker.state, breaker.permit(), breaker.permit()) == ("half-open", None, None)
    assert breaker.report(probe, failed=False) == "closed"
    assert breaker.state == "closed"


def test_each_probe_that_fails_doubles_the_rest_up_to_the_longest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    for rest in (1, 2, 4, 8, 8, 8):
        clock.now += rest * REST_SECONDS - 0.01
        assert breaker.permit() is None
        clock.now += 0.01
        assert breaker.report(permitted(breaker), failed=True) is None
    assert LONGEST_REST_SECONDS == 8 * REST_SECONDS


def test_after_a_success_the_rest_is_short_again(breaker: Breaker, clock: Clock) -> None:
    for rest in (REST_SECONDS, 2 * REST_SECONDS):
        fail(breaker)
        clock.now += rest
    breaker.report(permitted(breaker), failed=False)
    fail(breaker)
    clock.now += REST_SECONDS
    assert breaker.permit() is not None


def test_what_calls_of_before_report_is_passed_over(breaker: Breaker, clock: Clock) -> None:
    early, late = permitted(breaker), permitted(breaker)
    fail(breaker)
    assert breaker.report(early, failed=False) is None
    assert breaker.state == "open"
    clock.now += REST_SECONDS
    probe = permitted(breaker)
    assert breaker.report(late, failed=True) is None
    assert breaker.state == "half-open"
    assert breaker.report(probe, failed=False) == "closed"


def test_of_many_threads_one_is_the_probe(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += REST_SECONDS
    permits: list[int | None] = []
    threads = [threading.Thread(target=lambda: permits.append(breaker.permit())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([permit for permit in permits if permit is not None]) == 1


def test_a_cache_that_is_away_is_asked_once_a_rest_and_its_openings_are_counted(clock: Clock) -> None:
    here = cached(f"redis://{HOST}:{free_port()}", clock=clock)
    for _ in range(5):
        with pytest.raises(Unavailable):
            here.remote.ask(lambda client: client.ping())
    assert (here.remote.breaker, here.counted) == ("open", {"breaker_opened": 1})


def test_what_the_cache_refuses_does_not_open_it(valkey: Server, clock: Clock) -> None:
    here = cached(valkey.url, clock=clock)
    for _ in range(3):
        with pytest.raises(Refused):
            here.remote.ask(lambda client: client.execute_command("NO SUCH COMMAND"))
    assert here.remote.breaker == "closed"
    here.remote.close()


def test_a_probe_that_ends_in_an_error_of_our_own_does_not_keep_it_half_open(valkey: Server, clock: Clock) -> None:
    here = cached(valkey.url, clock=clock)
    here.remote.cut(1)
    with pytest.raises(Unavailable):
        here.remote.ask(lambda client: client.ping())
    clock.now += REST_SECONDS
    with pytest.raises(ZeroDivisionError):
        here.remote.ask(lambda _client: 1 // 0)
    assert here.remote.ask(lambda client: client.ping())
    here.remote.close()


def test_an_outage_is_played_for_its_time_and_ended_before(valkey: Server, clock: Clock) -> None:
    here = cached(valkey.url, clock=clock)

    def answers() -> bool:
        try:
            return here.remote.ask(lambda client: bool(client.ping()))
        except Unavailable:
            return False

    assert answers()
    here.remote.cut(10)
    assert (answers(), here.remote.is_cut) == (False, True)
    clock.now += 10
    assert (answers(), here.remote.is_cut, here.remote.breaker) == (True, False, "closed")
    here.remote.cut(3600)
    assert not answers()
    here.remote.cut(0)
    clock.now += REST_SECONDS
    assert answers()
    here.remote.close()
