"""What a console keeps, as a file: for operators, audited without what was told, and its end says what lacks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.cache.events.buffer import KEPT
from dashboard.cache.events.sieve import Sieve, sieve_of
from dashboard.cache.events.subscription import from_pairs
from dashboard.store import audit
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store
from tests.programs import wait_until
from tests.servers import Server
from tests.views.conftest import deck_of, post

PATH = "/caches/main/events/exports"


@pytest.fixture
def arranging(valkey: Server) -> Iterator[redis.Redis]:
    with valkey.client() as client:
        yield client


@contextmanager
def listening(app: Flask, channel: str = "inv", sieve: Sieve | None = None) -> Iterator[None]:
    """A console of this channel is open, and listens already."""
    deck = deck_of(app)
    subscription = from_pairs([("channel", channel)])
    with deck.hub.watching(deck.caches["main"], subscription, sieve or Sieve()) as (hearing, _):
        assert hearing.settled(120)
        yield


def exported(client: FlaskClient, events: int, **form: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and end of an export, once so many events have passed."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        found[:] = rows(post(client, PATH, {"channel": "inv", **form}))
        return bool(found[-1]["end"]["passed"] >= events)

    wait_until(enough, f"{events} events")
    return found[:-1], found[-1]["end"]


def rows(answer: TestResponse) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.data.splitlines()]


def entries(store: Store) -> list[Entry]:
    return audit.search(store, Filters(action="events.export"))


def test_it_sends_all_that_is_kept_in_the_form_of_the_command_line(
    app: Flask, operator: FlaskClient, arranging: redis.Redis
) -> None:
    hostile = b"</script><b>\xff\n\x1b[2J"
    with listening(app):
        arranging.publish("inv", "first")
        arranging.publish("inv", hostile)
        arranging.publish("inv", "\u00e9" * 5000)
        found, end = exported(operator, 3)
        answer = post(operator, PATH, {"channel": "inv"})
    assert answer.mimetype == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="cachedeck-main-events.jsonl"'
    assert answer.headers["Cache-Control"] == "no-store"
    first, second, third = found
    assert (first["source"], first["channel"], first["payload"], first["size"]) == ("channel", "inv", "first", 5)
    assert second["payload"] == {"base64": base64.b64encode(hostile).decode()}
    assert third["payload"] == "\u00e9" * 1024
    assert (third["size"], third["cut"]) == (10_000, True)
    assert end == {"complete": True, "events": 3, "gaps": 0, "passed": 3, "not_kept": 0}


def test_it_says_how_many_are_kept_no_more(app: Flask, operator: FlaskClient, arranging: redis.Redis) -> None:
    with listening(app):
        pipe = arranging.pipeline(transaction=False)
        for number in range(KEPT + 7):
            pipe.publish("inv", number)
        pipe.execute()
        found, end = exported(operator, KEPT + 7)
    assert [row["payload"] for row in found] == [str(number) for number in range(7, KEPT + 7)]
    assert end == {"complete": False, "events": KEPT, "gaps": 0, "passed": KEPT + 7, "not_kept": 7}


def test_it_sends_what_the_filter_lets_through(app: Flask, operator: FlaskClient, arranging: redis.Redis) -> None:
    with listening(app, sieve=sieve_of("wanted", "")):
        for payload in ("WANTED 1", "other", "wanted 2"):
            arranging.publish("inv", payload)
        found, _ = exported(operator, 2, text="wanted")
    assert [row["payload"] for row in found] == ["WANTED 1", "wanted 2"]


def test_it_is_audited_without_what_was_told(
    app: Flask, operator: FlaskClient, arranging: redis.Redis, store: Store
) -> None:
    with listening(app):
        arranging.publish("inv", "secret payload")
        exported(operator, 1)
    before = len(entries(store))
    post(operator, PATH, {"channel": "inv", "reason": "ticket 4711"})
    entry, *more = entries(store)
    assert len(more) == before
    assert (entry.actor, entry.cache, entry.subject, entry.reason) == ("otto", "main", "channel inv", "ticket 4711")
    assert (entry.before, entry.after) == ({"channel": "inv"}, {"events": 1, "gaps": 0, "not_kept": 0})
    assert entry.status == "done"
    assert "secret payload" not in repr(entry)


def test_where_nobody_listens_there_is_nothing(operator: FlaskClient) -> None:
    (end,) = rows(post(operator, PATH, {"pattern": "nobody:*"}))
    assert end["end"]["events"] == 0


@pytest.mark.parametrize("form", [{}, {"tracking": "a ab"}, {"channel": "inv", "in": "*a" * 40}])
def test_a_mistake_is_refused_and_not_audited(form: dict[str, str], operator: FlaskClient, store: Store) -> None:
    assert post(operator, PATH, form).status_code == 400
    assert entries(store) == []


def test_it_refuses_a_viewer(viewer: FlaskClient, store: Store) -> None:
    assert post(viewer, PATH, {"channel": "inv"}).status_code == 403
    assert entries(store) == []


def test_it_refuses_a_get_and_a_missing_token(operator: FlaskClient, store: Store) -> None:
    assert operator.get(PATH).status_code == 405
    assert operator.post(PATH, data={"channel": "inv"}).status_code == 400
    assert entries(store) == []


def test_the_console_leads_to_it(operator: FlaskClient, viewer: FlaskClient) -> None:
    address = "/caches/main/events?channel=inv&text=wanted"
    page = operator.get(address).text
    assert f'action="{PATH}"' in page
    assert '<input type="hidden" name="text" value="wanted">' in page
    assert PATH not in viewer.get(address).text
