"""Exports from the browser: a file as it is read, by operators, audited, and never too many at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.cache.selecting.key_token import to_token
from dashboard.cache.servers.target import parse_targets
from dashboard.settings import Settings
from dashboard.store import audit
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.views.keys import exports
from tests.servers import HOST, Server, free_port
from tests.views.conftest import post, signed_in_client

PATH = "/caches/main/exports"


@pytest.fixture(autouse=True)
def arranging(valkey: Server) -> Iterator[redis.Redis]:
    with valkey.client() as client:
        client.set("api:1", "secret value", ex=1000)
        client.set("api:2", b"\xff")
        client.hset("sess:1", "f", "v")
        yield client


def lines(answer: TestResponse) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Keys by name, and what the last line says."""
    assert answer.status_code == 200, answer.text
    *rows, last = [json.loads(line) for line in answer.text.splitlines()]
    return {row["key"]: row for row in rows}, last["end"]


def entries(store: Store) -> list[Entry]:
    return audit.search(store, Filters(action="keys.export"))


def test_it_sends_a_file_of_the_selected_keys(operator: FlaskClient) -> None:
    answer = post(operator, PATH, {"pattern": "api:*"})
    assert answer.mimetype == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="cachedeck-main.jsonl"'
    assert answer.headers["Cache-Control"] == "no-store"
    found, end = lines(answer)
    assert {name: row["value"] for name, row in found.items()} == {"api:1": "secret value", "api:2": {"base64": "/w=="}}
    assert (end["complete"], end["keys"]) == (True, 2)


def test_it_sends_dumps(operator: FlaskClient) -> None:
    found, end = lines(post(operator, PATH, {"pattern": "*", "form": "dump"}))
    assert end["dumps"] == len(found) == 3
    assert all("value" not in row for row in found.values())


def test_it_sends_the_ticked_keys_and_those_of_a_list(operator: FlaskClient) -> None:
    ticked = {"key": [to_token(b"api:1"), to_token(b"sess:1")], "pattern": "nothing:*"}
    assert lines(post(operator, PATH, ticked))[0].keys() == {"api:1", "sess:1"}
    assert lines(post(operator, PATH, {"keys": "api:2\nno such key"}))[0].keys() == {"api:2"}


def test_nothing_that_matches_is_a_file_that_says_so(operator: FlaskClient) -> None:
    found, end = lines(post(operator, PATH, {"pattern": "nothing:*"}))
    assert found == {}
    assert (end["complete"], end["keys"]) == (True, 0)


@pytest.mark.parametrize("given", [{"ttl": "soon"}, {"keys": "\n"}, {"pattern": "*a" * 40}])
def test_a_mistake_leads_back_to_the_form(given: dict[str, str], operator: FlaskClient, store: Store) -> None:
    answer = post(operator, PATH, given)
    assert answer.status_code == 422
    assert "Nothing was exported." in answer.text
    assert entries(store) == []


def test_it_refuses_a_viewer(viewer: FlaskClient, store: Store) -> None:
    assert post(viewer, PATH, {"pattern": "api:*"}).status_code == 403
    assert viewer.get(f"{PATH}/new").status_code == 403
    assert entries(store) == []


def test_it_refuses_a_get_and_a_missing_token(operator: FlaskClient, store: Store) -> None:
    assert operator.get(PATH).status_code == 405
    assert operator.post(PATH, data={"pattern": "api:*"}).status_code == 400
    assert entries(store) == []


def test_it_is_audited_with_its_counts_and_without_values(operator: FlaskClient, store: Store) -> None:
    lines(post(operator, PATH, {"pattern": "api:*", "reason": "ticket 4711"}))
    (entry,) = entries(store)
    assert (entry.actor, entry.cache, entry.subject) == ("otto", "main", "keys of api:*")
    assert (entry.status, entry.reason, entry.before) == ("done", "ticket 4711", None)
    assert entry.after == {"dump": False, "keys": 2, "dumps": 0, "left_out": 0, "gone": 0}
    assert "secret value" not in repr(entry)


def test_the_trail_names_the_keys_of_a_list(operator: FlaskClient, store: Store) -> None:
    lines(post(operator, PATH, {"key": to_token(b"api:1")}))
    assert entries(store)[0].before == {"keys": ["api:1"]}


def test_a_read_only_cache_is_exported(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    target = settings.caches[0]
    url = f"main=redis://{target.hosts[0][0]}:{target.hosts[0][1]}?read_only=yes"
    app = make_app(settings.model_copy(update={"caches": parse_targets(url)}))
    assert lines(post(signed_in_client(app, Role.OPERATOR), PATH, {"pattern": "*"}))[1]["keys"] == 3


def test_a_cache_that_is_down_is_a_problem_and_no_file(
    settings: Settings, make_app: Callable[[Settings], Flask], store: Store
) -> None:
    caches = parse_targets(f"main=redis://{HOST}:{free_port()}")
    app = make_app(settings.model_copy(update={"caches": caches}))
    answer = post(signed_in_client(app, Role.OPERATOR), PATH, {"pattern": "*"})
    assert answer.status_code == 503
    assert "main cannot be reached." in answer.text
    assert "Content-Disposition" not in answer.headers
    (entry,) = entries(store)
    assert (entry.status, entry.error) == ("failed", "main cannot be reached.")


def begun(client: FlaskClient) -> TestResponse:
    """An export of which the first part was sent, and the rest is not asked for."""
    answer = post(client, PATH, {"pattern": "*"}, buffered=False)
    assert answer.status_code == 200
    next(iter(answer.response))
    return answer


def test_a_download_that_is_broken_off_is_written_down(operator: FlaskClient, store: Store) -> None:
    begun(operator).close()
    (entry,) = entries(store)
    assert (entry.status, entry.error) == ("failed", "The browser broke the download off.")


def test_only_so_many_go_on_at_once(operator: FlaskClient, store: Store) -> None:
    under_way = [begun(operator) for _ in range(exports.AT_ONCE)]
    answer = post(operator, PATH, {"pattern": "*"})
    assert answer.status_code == 503
    assert "exports are under way" in answer.text
    for one in under_way:
        one.close()
    assert lines(post(operator, PATH, {"pattern": "*"}))[1]["keys"] == 3


def test_a_server_that_goes_away_in_the_midst_is_said_in_the_last_line(
    operator: FlaskClient, store: Store, arranging: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.cache.walking.turns.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("dashboard.cache.exporting.run.PATIENCE_SECONDS", 0.0)
    for number in range(5000):
        arranging.set(f"many:{number}", "v")
    answer = post(operator, PATH, {"pattern": "*"}, buffered=False)
    sent = iter(answer.response)
    parts = [next(sent)]
    arranging.execute_command("ACL", "SETUSER", "default", "-scan")
    try:
        parts += list(sent)
    finally:
        arranging.execute_command("ACL", "SETUSER", "default", "+@all")
    end = json.loads(b"".join(parts).splitlines()[-1])["end"]
    assert end["complete"] is False
    assert "may not run SCAN" in end["why"]
    assert 0 < end["keys"] < 5000
    (entry,) = entries(store)
    assert entry.status == "failed"
    assert entry.after["keys"] == end["keys"]


def test_the_form_carries_the_selection(operator: FlaskClient) -> None:
    answer = operator.get(f"{PATH}/new?pattern=api:*&type=string")
    assert answer.status_code == 200
    assert "Keys of api:* of type string go into a file" in answer.text
    assert 'value="api:*"' in answer.text


def test_keys_leads_to_it(operator: FlaskClient, viewer: FlaskClient) -> None:
    address = "/caches/main/exports/new?pattern=api:*"
    assert address in operator.get("/caches/main/keys?pattern=api:*").text
    assert address not in viewer.get("/caches/main/keys?pattern=api:*").text
