"""Notifications that an operator has switched on: a job uses them, or is told whose they are, and they go off again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dashboard.jobs import notifying
from dashboard.jobs.caller import Caller
from dashboard.jobs.kind import Refused, Work
from dashboard.store import jobs
from dashboard.store.trials import Trial
from tests.jobs.tuned import Tuned, tuned
from tests.servers import start

SETTING = "notify-keyspace-events"
ADA = Caller("ada", "10.0.0.1", "page")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Tuned]:
    server = start()
    try:
        with tuned(tmp_path, server.url, [server]) as found:
            yield found
    finally:
        server.stop()


def work(site: Tuned) -> Work:
    return Work(site.cache, site.settings, site.store)


def switched_on(site: Tuned, wanted: str, seconds: float) -> Trial:
    trial = notifying.switch_on(work(site), wanted, seconds, ADA, "to look", purpose="notifications")
    assert trial
    return trial


def test_they_are_added_to_what_is_there_and_taken_back(shop: Tuned) -> None:
    shop.set(SETTING, "Kx")
    trial = switched_on(shop, "Em", 600)
    assert notifying.is_on(shop.cache, "KxEm")
    notifying.switch_off(work(shop), trial, ADA, "Seen enough.")
    assert not shop.trial(trial.number).open
    assert set(shop.values(SETTING)[0]) == set("Kx")


def test_all_of_them_are_switched_on_though_servers_do_not_tell_of_new_keys_beside_a(shop: Tuned) -> None:
    shop.set(SETTING, "Kx")
    trial = switched_on(shop, "KEAmn", 600)
    with shop.servers[0].client() as client, client.pubsub() as listening:
        listening.subscribe("__keyevent@0__:new")
        client.set("fresh", "v", ex=600)
        assert any(message["type"] == "message" for message in _told(listening, 2))
    notifying.switch_off(work(shop), trial, ADA, "Seen enough.")
    assert set(shop.values(SETTING)[0]) == set("Kx")


def _told(listening: redis.client.PubSub, most: int) -> list[dict[str, object]]:
    return [message for _ in range(most) if (message := listening.get_message(timeout=60))]


def test_a_job_uses_those_that_last_long_enough_and_leaves_them_on(shop: Tuned) -> None:
    trial = switched_on(shop, "Eem", 600)
    assert notifying.switch_on(work(shop), "Eem", 60, ADA, "to measure") is None
    assert shop.trial(trial.number).open


@pytest.mark.parametrize(
    ("wanted", "seconds", "why"), [("Eem", 3600, "too early for this"), ("Eemx", 60, "with other flags")]
)
def test_a_job_that_they_do_not_serve_is_told_whose_they_are(
    shop: Tuned, wanted: str, seconds: float, why: str
) -> None:
    switched_on(shop, "Eem", 600)
    with pytest.raises(Refused, match=why) as refused:
        notifying.switch_on(work(shop), wanted, seconds, ADA, "to measure")
    assert "switched on by ada" in refused.value.sentence
    assert set(shop.values(SETTING)[0]) == set("Eem")


def test_what_a_killed_job_left_on_is_taken_back_first(shop: Tuned) -> None:
    left = notifying.switch_on(work(shop), "Ex", 600, ADA, "to measure")
    assert left
    trial = notifying.switch_on(work(shop), "Eem", 600, ADA, "to measure")
    assert trial
    assert shop.trial(left.number).state == "reverted"
    assert set(shop.values(SETTING)[0]) == set("Eem")


def test_what_a_job_that_runs_has_switched_on_is_left_to_it(shop: Tuned) -> None:
    jobs.create(shop.store, "shop", "eviction_trace", {}, "bob", "", owner="a worker of the tests")
    held = notifying.switch_on(work(shop), "Eem", 600, ADA, "to measure")
    assert held
    with pytest.raises(Refused, match="Another job has switched notifications on"):
        switched_on(shop, "Ex", 600)
    assert shop.trial(held.number).open
    assert set(shop.values(SETTING)[0]) == set("Eem")
