"""Messages on their pages: who may publish one, what is said beforehand, and what became of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.jobs import publishing
from dashboard.jobs.kind import Refused
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.publish_job import NAME
from dashboard.settings import Settings
from dashboard.store import audit, jobs
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from tests.application import Application, application
from tests.programs import wait_until
from tests.servers import HOST, Server, free_port
from tests.views.conftest import by_htmx, post, signed_in_client

PATH = "/caches/main/messages"
HOSTILE = "<b>shop</b>"


@pytest.fixture
def listener(valkey: Server) -> Iterator[Application]:
    with application(valkey, HOSTILE) as running:
        yield running


@pytest.fixture
def at(valkey: Server, settings: Settings, make_app: Callable[[Settings], Flask]) -> Callable[..., FlaskClient]:
    """An operator's browser in front of a cache with these options in its URL."""

    def browser(options: str = "", user: str = "") -> FlaskClient:
        caches = Settings(caches=f"main=redis://{user}{HOST}:{valkey.port}?{options}").caches  # type: ignore[arg-type]
        return signed_in_client(make_app(settings.model_copy(update={"caches": caches})), Role.OPERATOR)

    return browser


def send(browser: FlaskClient, **fields: str) -> TestResponse:
    return post(browser, PATH, {"channel": "invalidate", "form": "keys", "wait": "30", **fields})


def ended(browser: FlaskClient, answer: TestResponse) -> str:
    """The page of a message once nobody is waited for any more."""
    assert answer.status_code == 303, answer.text
    wait_until(lambda: 'id="message-poll"' not in browser.get(answer.location).text, "it has ended")
    return browser.get(answer.location).text


def test_the_form_says_who_could_hear_a_message(operator: FlaskClient, listener: Application) -> None:
    text = operator.get(f"{PATH}/new").text
    assert "1 client has subscribed to this channel." in text
    assert "No pattern is subscribed to." in text
    assert "&lt;b&gt;shop&lt;/b&gt;" in text
    assert HOSTILE not in text


def test_as_a_fragment_it_says_so_of_the_channel_that_is_typed(operator: FlaskClient, listener: Application) -> None:
    told = operator.get(f"{PATH}/new?channel=other", headers=by_htmx(operator)).text
    assert "No client has subscribed to this channel." in told
    assert "<form" not in told
    assert "owns its slot" in operator.get(f"{PATH}/new?channel=c&sharded=yes", headers=by_htmx(operator)).text
    assert "Name a channel" in operator.get(f"{PATH}/new?channel=", headers=by_htmx(operator)).text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("channel=%3Cb%3E&keys=a%0A%3Ci%3E", ['value="&lt;b&gt;"', "a\n&lt;i&gt;", 'value="keys" checked']),
        ("pattern=api:*", ['value="api:*"', 'value="pattern" checked']),
        ("tags=red", [">\nred<", 'value="tags" checked']),
        ("text=x&escapes=yes&wait=10", ['value="text" checked', 'name="escapes" value="yes" checked', '"10" selected']),
        ("form=nonsense&wait=nonsense", ['"2" selected']),
    ],
)
def test_it_is_filled_in_from_the_query(operator: FlaskClient, query: str, shown: list[str]) -> None:
    text = operator.get(f"{PATH}/new?{query}").text
    assert [part for part in shown if part not in text] == []


def test_a_message_is_published_and_its_acknowledgement_listed(operator: FlaskClient, listener: Application) -> None:
    text = ended(operator, send(operator, keys="api:user:1\r\n\\xff\r\n\r\n"))
    told = json.loads(listener.next())
    assert (told["type"], told["cache"], told["keys"]) == ("keys", "main", ["api:user:1", {"base64": "/w=="}])
    assert "1 receiver. 1 acknowledgement, the slowest after" in text
    assert f'<td class="message-name">{listener.client_id}</td>' in text
    assert "&lt;b&gt;shop&lt;/b&gt;" in text
    assert HOSTILE not in text
    assert "Subscribed, and silent" not in text


def test_who_is_silent_is_listed_while_it_is_waited_for(operator: FlaskClient, valkey: Server) -> None:
    with application(valkey, "silent-1", answers=False) as app:
        answer = send(operator, keys="a")
        app.next()
        wait_until(lambda: "Subscribed, and silent so far" in operator.get(answer.location).text, "it is published")
        text = operator.get(answer.location).text
        assert "silent-1" in text
        assert "may not have been meant" in text
        live = operator.get(answer.location, headers=by_htmx(operator)).text
        assert 'id="answer" hx-swap-oob="true"' in live
        post(operator, f"/caches/main/jobs/{answer.location.rpartition('/')[2]}/cancellation")
        assert "cancelled" in ended(operator, answer)


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        (
            {"form": "pattern", "pattern": "api:*"},
            b'{"v":1,"type":"selection","cache":"main","pattern":"api:*","filters":{}}',
        ),
        ({"form": "tags", "tags": "red\nblue"}, b'{"v":1,"type":"tags","cache":"main","tags":["red","blue"]}'),
        ({"form": "text", "text": "one\r\ntwo \\xff"}, b"one\ntwo \\xff"),
        ({"form": "text", "text": "one\r\ntwo \\xff", "escapes": "yes"}, b"one\ntwo \xff"),
        ({"form": "text", "text": ""}, b""),
    ],
)
def test_without_waiting_what_is_sent_is_what_was_composed(
    operator: FlaskClient, listener: Application, fields: dict[str, str], payload: bytes
) -> None:
    text = ended(operator, send(operator, **{**fields, "wait": "0"}))
    assert listener.next() == payload
    assert "not asked for" in text


def test_ten_megabytes_are_taken(operator: FlaskClient, listener: Application) -> None:
    large = "x" * 10 * 1024 * 1024
    ended(operator, send(operator, form="text", text=large, wait="0"))
    assert len(listener.next()) == len(large)
    refused = send(operator, form="text", text=large + "x", wait="0")
    assert (refused.status_code, "at most 10 MB" in refused.text) == (422, True)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"channel": "  "}, "1 to 1,024 bytes"),
        ({"keys": " \r\n"}, "Write at least one"),
        ({"form": "pattern", "pattern": ""}, "pattern is empty"),
        ({"form": "pattern", "pattern": "*a" * 17}, "at most 16 stars"),
        ({"form": "tags", "tags": ""}, "Write at least one"),
        ({"form": "<b>"}, "Choose what the message is about"),
    ],
)
def test_what_cannot_be_sent_comes_back_with_a_sentence(
    operator: FlaskClient, listener: Application, store: Store, fields: dict[str, str], sentence: str
) -> None:
    answer = send(operator, **{"keys": "a", **fields})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "Nothing was published." in answer.text
    assert (jobs.newest(store, "main", NAME), listener.count) == ([], 0)


def test_it_is_for_operators(viewer: FlaskClient, operator: FlaskClient, listener: Application, store: Store) -> None:
    sent = send(operator, keys="a", wait="0").location
    listener.next()
    assert send(viewer, keys="a").status_code == 403
    assert viewer.get(f"{PATH}/new").status_code == 403
    assert viewer.get(sent).status_code == 403
    assert (sent in operator.get("/caches/main/jobs").text, sent in viewer.get("/caches/main/jobs").text) == (
        True,
        False,
    )
    assert (len(jobs.newest(store, "main", NAME)), listener.count) == (1, 1)


def test_without_the_pages_own_token_nothing_is_published(operator: FlaskClient, listener: Application) -> None:
    assert operator.post(PATH, data={"channel": "invalidate", "form": "keys", "keys": "a"}).status_code == 400
    assert listener.count == 0


def test_the_trail_names_what_it_was_about_and_neither_it_nor_the_database_has_the_message(
    operator: FlaskClient, listener: Application, store: Store, settings: Settings
) -> None:
    ended(operator, send(operator, form="text", text='{"a":"secret of the day"}', reason="ticket 4711"))
    (entry,) = audit.search(store, Filters(action="message.publish"))
    (job,) = jobs.newest(store, "main", NAME)
    assert (entry.actor, entry.status, entry.reason) == ("otto", "done", "ticket 4711")
    assert entry.subject.startswith("raw text to invalidate, 25\u202fB, SHA-256 ")
    assert (entry.after["receivers"], entry.after["acknowledged"], entry.after["job"]) == (1, 1, job.id)
    assert "secret" not in repr((entry, job))
    files = [file for file in settings.data.rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if b"secret of the day" in file.read_bytes()] == []
    ended(operator, send(operator, keys="api:user:1", wait="0"))
    assert "the key api:user:1 to invalidate" in audit.search(store, Filters(action="message.publish"))[0].subject


def test_a_worker_that_is_given_one_publishes_nothing() -> None:
    with pytest.raises(Refused, match="not kept"):
        KINDS[NAME].start(None, {})  # type: ignore[arg-type]
    assert not KINDS[NAME].again


def test_a_read_only_cache_refuses_and_says_so_beforehand(
    at: Callable[..., FlaskClient], listener: Application
) -> None:
    browser = at("read_only=yes")
    assert "read-only, so nothing is published from here" in browser.get(f"{PATH}/new").text
    assert send(browser, keys="a").status_code == 409
    assert listener.count == 0


def test_on_production_the_caches_name_is_typed(at: Callable[..., FlaskClient], listener: Application) -> None:
    browser = at("environment=production")
    assert "Type main to go on" in browser.get(f"{PATH}/new").text
    assert send(browser, keys="a").status_code == 400
    assert listener.count == 0
    ended(browser, send(browser, keys="a", typed="main"))
    assert listener.count == 1


@pytest.fixture
def denied(valkey: Server, at: Callable[..., FlaskClient]) -> Iterator[Callable[[str], FlaskClient]]:
    """A browser in front of the cache as a user with these ACL rules."""
    with closing(valkey.client()) as client:

        def made(rules: str) -> FlaskClient:
            client.execute_command("ACL", "SETUSER", "mo", "reset", "on", ">pw", "~*", "+@all", *rules.split())
            return at("", "mo:pw@")

        yield made
        client.execute_command("ACL", "DELUSER", "mo")


def test_where_lists_are_denied_the_page_says_what_is_not_known(
    denied: Callable[[str], FlaskClient], listener: Application
) -> None:
    browser = denied("&* -client|list -pubsub")
    text = browser.get(f"{PATH}/new").text
    assert "may not run CLIENT LIST" in text
    assert "may not run PUBSUB" in text
    answer = ended(browser, send(browser, keys="a", wait="2"))
    assert "Who is subscribed and silent is not known here." in answer
    assert "1 acknowledgement" in answer


def test_where_publishing_is_denied_the_page_says_so(
    denied: Callable[[str], FlaskClient], listener: Application
) -> None:
    assert "PUBLISH: not allowed for this user" in denied("&* -publish").get(f"{PATH}/new").text
    browser = denied("&other")
    assert "may not publish to this channel" in ended(browser, send(browser, keys="a", wait="0"))


def test_so_many_are_listened_after_at_once_and_no_more(
    operator: FlaskClient, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_places", threading.BoundedSemaphore(1))
    with application(valkey, "silent", answers=False) as app:
        first = send(operator, keys="a")
        refused = send(operator, keys="b")
        assert (refused.status_code, "being listened after" in refused.text) == (409, True)
        assert app.count == 1
        post(operator, f"/caches/main/jobs/{first.location.rpartition('/')[2]}/cancellation")
        ended(operator, first)
        answers: list[TestResponse] = []

        def taken() -> bool:
            answers.append(send(operator, keys="c", wait="0"))
            return answers[-1].status_code == 303

        wait_until(taken, "there is a place again")
        ended(operator, answers[-1])


def test_a_server_that_is_down_leaves_the_form(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    caches = Settings(caches=f"main=redis://{HOST}:{free_port()}").caches  # type: ignore[arg-type]
    browser = signed_in_client(make_app(settings.model_copy(update={"caches": caches})), Role.OPERATOR)
    text = browser.get(f"{PATH}/new").text
    assert "cannot be reached" in text
    assert 'name="channel"' in text
    assert "It was not published." in ended(browser, send(browser, keys="a"))


def test_what_was_published_before_is_listed_without_its_message(operator: FlaskClient, listener: Application) -> None:
    answer = send(operator, form="text", text="secret", channel="<i>c</i>", wait="0")
    ended(operator, answer)
    text = operator.get(f"{PATH}/new").text
    assert "raw text to &lt;i&gt;c&lt;/i&gt;" in text
    assert answer.location in text
    assert "secret" not in text
    assert "raw text to &lt;i&gt;c&lt;/i&gt;" in operator.get("/caches/main/jobs").text


@pytest.mark.parametrize("number", ["999999", "2147483647"])
def test_a_message_that_is_not_there_is_a_404(operator: FlaskClient, number: str) -> None:
    assert operator.get(f"{PATH}/{number}").status_code == 404
