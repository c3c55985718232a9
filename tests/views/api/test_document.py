"""The API against its own OpenAPI document: schemathesis asks what that allows and forbids, a real server answers."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as of_hypothesis
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from dashboard.settings import Settings
from dashboard.store import throttle
from dashboard.views.access import access_of
from dashboard.views.api import routes
from dashboard.views.api.document import document
from tests.views.api.conftest import Script

V1 = "/api/v1"
EXAMPLES = int(os.environ.get("CACHEDECK_TEST_API_EXAMPLES", "40"))


def test_its_paths_are_the_routes(app: Flask) -> None:
    documented = {
        (path.replace("{number}", "<int:number>"), method.upper())
        for path, item in document()["paths"].items()
        for method in item
        if method != "parameters"
    }
    routed = {
        (rule.rule.removeprefix(V1), method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(V1) and access_of(app, rule.endpoint).by_token
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert documented == routed


def test_a_script_may_read_it(script: Callable[..., Script]) -> None:
    answer = script().get(f"{V1}/openapi.json")
    assert answer.json == {**document(), "servers": [{"url": V1}]}
    assert answer.json["openapi"].startswith("3.1")


def test_below_a_path_it_says_so(
    settings: Settings, make_app: Callable[[Settings], Flask], script: Callable[..., Script]
) -> None:
    client = make_app(settings.model_copy(update={"url_prefix": "/deck"})).test_client()
    one = Script(client, script().secret)
    assert one.get("/deck/api/v1/openapi.json").json["servers"] == [{"url": "/deck/api/v1"}]
    made = one.post("/deck/api/v1/invalidations", {"cache": "main", "keys": ["a"]})
    assert made.headers["Location"] == f"/deck/api/v1/invalidations/{made.json['number']}"
    assert one.get(made.headers["Location"]).status_code == 200
    assert one.get("/deck/api/v1/nothing").mimetype == "application/problem+json"


SENSIBLE: dict[str, list[Any]] = {
    "cache": ["main"],
    "pattern": ["api:*", "api:search:?", "other:1*", "*", "nothing:*", {"base64": "/yo="}],
    "everything": [True],
    "mode": ["now"],
    "channel": [None, "news"],
    "type": ["", "string", "hash"],
    "ttl": ["", "none", "<5m"],
    "size": ["", ">10", "<1kb"],
}


def _sensible() -> dict[str, Any]:
    """The document with such values only as make sense here: what is asked by it is carried out, most of the time."""
    found = copy.deepcopy(document())
    body = found["components"]["schemas"]["NewInvalidation"]
    body["properties"] |= {name: {"enum": values} for name, values in SENSIBLE.items()}
    body["required"] = ["cache", "pattern"]
    for name in ("keys", "seconds", "rate"):
        del body["properties"][name]
    for path in found["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"]["maximum"] = 3
    return found


@pytest.fixture
def ask_all(
    app: Flask, deploy: Script, monkeypatch: pytest.MonkeyPatch
) -> Callable[[GenerationMode], dict[str, Counter[int]]]:
    """Asks every operation many things by the document that the API gives out; the statuses of its answers."""
    for limit in ("FREE", "ADDRESS_LIMIT", "ACCOUNT_LIMIT"):  # one of its checks is to try hundreds of wrong tokens
        monkeypatch.setattr(throttle, limit, 100_000)
    assert deploy.invalidate(pattern="api:search:1*").json["state"] == "done"  # number 1
    assert deploy.invalidate(pattern="api:search:2*", dry_run=True).json["state"] == "planned"
    head = {"Authorization": f"Bearer {deploy.secret}"}

    def ask(mode: GenerationMode) -> dict[str, Counter[int]]:
        described = schemathesis.openapi.from_wsgi(f"{V1}/openapi.json", app, headers=head)
        seen = {}
        for found in described.get_all_operations():
            operation = found.ok()
            seen[operation.label] = _hold_against(operation, head, mode)
        return seen

    return ask


def test_it_answers_what_its_document_allows_as_that_says(ask_all: Callable[..., dict[str, Counter[int]]]) -> None:
    seen = ask_all(GenerationMode.POSITIVE)
    assert len(seen) == 4  # the document's own address is left out


def test_it_carries_out_what_makes_sense_as_its_document_says(
    ask_all: Callable[..., dict[str, Counter[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "document", _sensible)
    seen = ask_all(GenerationMode.POSITIVE)
    assert seen["POST /invalidations"][201] > EXAMPLES / 3, seen
    assert seen["GET /invalidations/{number}"][200], seen
    assert seen["POST /invalidations/{number}/undo"][202], seen


def test_it_refuses_what_its_document_forbids(
    ask_all: Callable[..., dict[str, Counter[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The token is right here: what is refused must be refused for what else is wrong with it.
    monkeypatch.setattr(routes, "document", lambda: {**document(), "security": []})
    seen = ask_all(GenerationMode.NEGATIVE)
    assert len(seen) == 4
    assert all(400 <= status < 500 for answers in seen.values() for status in answers), seen


def _hold_against(operation: APIOperation, head: dict[str, str], mode: GenerationMode) -> Counter[int]:
    """Ask an operation many things; each answer must be one that the document foresees for them."""
    seen: Counter[int] = Counter()

    @of_hypothesis(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(headers=head)
        seen[answer.status_code] += 1
        # Rules over several fields (a pattern or keys, seconds with gently) are in no schema: 422 is right there.
        # A body that is too large is refused for that, whatever else is wrong with it.
        beside = [negative_data_rejection] if answer.status_code == 413 else []
        case.validate_response(answer, headers=head, excluded_checks=[positive_data_acceptance, *beside])

    ask()
    return seen
