"""The console and its stream: everything is shown or counted, a gap is a gap, and a stream ends when it must."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import quote

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from dashboard.settings import Settings
from dashboard.stopping import STOPPING
from dashboard.store import operators
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.views.events import position as event_position
from dashboard.views.events import stream as event_stream
from dashboard.views.events.drawing import as_message
from dashboard.views.events.position import Position
from tests.programs import wait_until
from tests.servers import Server
from tests.views.conftest import NAMES, deck_of, signed_in_client

PATH = "/caches/main/events"


@pytest.fixture
def arranging(valkey: Server) -> Iterator[redis.Redis]:
    with valkey.client() as client:
        yield client


class Console:
    """A stream as a browser reads it."""

    def __init__(self, client: FlaskClient, query: str, last: str = "") -> None:
        self.answer: TestResponse = client.get(
            f"{PATH}/stream?{query}", headers={"Last-Event-ID": last} if last else {}, buffered=False
        )
        self.text = ""
        if self.answer.status_code == 200:
            self._messages = iter(self.answer.response)

    def read_until(self, words: str) -> str:
        """Messages until one has these words in it."""
        ends = time.monotonic() + 120
        while words not in self.text and time.monotonic() < ends:
            self.text += unescape(_bytes(next(self._messages)).decode())
        assert words in self.text
        return self.text

    def read_to_the_end(self) -> str:
        self.text += "".join(unescape(_bytes(one).decode()) for one in self._messages)
        return self.text

    @property
    def last_id(self) -> str:
        return re.findall(r"^id: (\S+)$", self.text, re.MULTILINE)[-1]

    def close(self) -> None:
        self.answer.close()


def _bytes(found: bytes | str) -> bytes:
    return found if isinstance(found, bytes) else found.encode()


@pytest.fixture
def console(viewer: FlaskClient) -> Iterator[Callable[..., Console]]:
    opened: list[Console] = []

    def make(query: str, last: str = "", client: FlaskClient = viewer) -> Console:
        opened.append(Console(client, query, last))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_the_screen_begins_with_what_can_be_listened_to(viewer: FlaskClient) -> None:
    text = viewer.get(PATH).text
    for label in ("Channels", "Patterns of channels", "Key events", "Client-side caching", "Sharded channels"):
        assert label in text
    assert f"{PATH}?pattern=*" in text
    assert "event-stream" not in text


def test_a_page_without_javascript_shows_what_is_kept(viewer: FlaskClient, arranging: redis.Redis) -> None:
    viewer.get(f"{PATH}?channel=inv")
    wait_until(lambda: arranging.publish("inv", "beacon") == 1, "somebody listens")
    arranging.publish("inv", '{"keys":["a","b"]}')
    arranging.publish("inv", b"\xff\x00")
    wait_until(lambda: r"\xff" in viewer.get(f"{PATH}?channel=inv").text, "it is there")
    text = unescape(viewer.get(f"{PATH}?channel=inv").text)
    assert text.index('{"keys":["a","b"]}') < text.index("beacon"), "the newest first"
    assert "Listening to channel inv." in text


def test_names_and_payloads_are_text(viewer: FlaskClient, arranging: redis.Redis) -> None:
    evil = "<script>alert(1)</script>"
    query = f"{PATH}?channel={quote(evil)}&text={quote('<b>')}"
    viewer.get(query)
    wait_until(lambda: arranging.publish(evil, "<b>&<i>") == 1, "somebody listens")
    wait_until(lambda: "<b>&<i>" in unescape(viewer.get(query).text), "it is there")
    text = viewer.get(query).text
    assert evil not in text
    assert "<b>&<i>" not in text


def test_a_key_event_leads_to_its_key(console: Callable[..., Console], arranging: redis.Redis) -> None:
    arranging.config_set("notify-keyspace-events", "KEA")
    stream = console("event=set&tracking=api:*")
    stream.read_until("heard from")
    arranging.set("api:user:1", "v")
    text = stream.read_until("client cache")
    assert f'href="{PATH.removesuffix("/events")}/keys/api:user:1"' in text


def test_notifications_that_are_off_are_named(viewer: FlaskClient, arranging: redis.Redis) -> None:
    arranging.config_set("notify-keyspace-events", "")
    assert "<code>Ex</code>" in viewer.get(f"{PATH}?event=expired").text
    arranging.config_set("notify-keyspace-events", "Ex")
    assert "<code>Ex</code>" not in viewer.get(f"{PATH}?event=expired").text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("tracking=api:+api:user:", "overlap"),
        ("channel=" + "c" * 3000, "2,048 bytes"),
        ("channel=a&in=" + "*x" * 40, "stars"),
        ("channel=" + "+".join(f"c{number}" for number in range(60)), "At most 50"),
    ],
)
def test_a_question_without_sense_is_answered(query: str, words: str, viewer: FlaskClient) -> None:
    answer = viewer.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert words in answer.text
    assert viewer.get(f"{PATH}/stream?{query}").status_code == 400


def test_a_channel_that_is_denied_is_named(
    settings: Settings, make_app: Callable[[Settings], Flask], valkey: Server, arranging: redis.Redis
) -> None:
    arranging.execute_command("ACL", "SETUSER", "ear", "on", ">secret", "+@all", "~*", "resetchannels")
    try:
        url = valkey.url.replace("redis://", "redis://ear:secret@")
        app = make_app(Settings(caches=f"main={url}", data=settings.data, secret_key="k" * 40))  # type: ignore[arg-type]
        client = signed_in_client(app, Role.VIEWER)
        wait_until(lambda: "channel orders (NOPERM)" in client.get(f"{PATH}?channel=orders").text, "it is said")
    finally:
        arranging.execute_command("ACL", "DELUSER", "ear")


def test_a_stream_goes_on_where_it_was(console: Callable[..., Console], arranging: redis.Redis) -> None:
    first = console("channel=inv")
    assert first.answer.mimetype == "text/event-stream"
    assert first.answer.headers["X-Accel-Buffering"] == "no"
    assert first.answer.headers["Cache-Control"] == "no-store"
    first.read_until("heard from")
    arranging.publish("inv", "one")
    last = (first.read_until(">one<"), first.last_id)[1]
    first.close()
    arranging.publish("inv", "two")
    second = console("channel=inv", last)
    text = second.read_until(">two<")
    assert ">one<" not in text
    assert "gap" not in text


def test_what_is_kept_no_more_is_a_gap(
    console: Callable[..., Console], viewer: FlaskClient, arranging: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "BURST", 2000)
    stream = console("channel=inv")
    stream.read_until("heard from")
    arranging.publish("inv", "first")
    last = (stream.read_until(">first<"), stream.last_id)[1]
    stream.close()
    arranging.eval("for n = 1, 1500 do redis.call('PUBLISH', 'inv', 'n' .. n) end", 0)
    counted = '<span class="n">1\u202f501</span> events since'
    wait_until(lambda: counted in viewer.get(f"{PATH}?channel=inv").text, "all of them were heard")
    late = console("channel=inv", last)
    text = late.read_until(">n1500<")
    assert re.search(r"gap</span> <span class=\"n\">500</span> events", text), "1,000 of 1,500 are kept"
    assert ">n501<" in text
    assert ">n500<" not in text


def test_after_a_restart_of_the_web_process_it_says_when_nobody_listened(
    console: Callable[..., Console], arranging: redis.Redis
) -> None:
    stream = console("channel=inv", str(Position("0123abcd", 17, 1000.0)))
    stream.read_until("heard from")
    arranging.publish("inv", "now")
    text = stream.read_until(">now<")
    assert "did not listen from" in text
    assert text.index(">now<") > text.index("did not listen")


def test_the_same_is_not_shown_twice_in_a_new_numbering(
    console: Callable[..., Console], arranging: redis.Redis
) -> None:
    stream = console("channel=inv")
    stream.read_until("heard from")
    arranging.publish("inv", "seen")
    epoch, number, at = (stream.read_until(">seen<"), stream.last_id)[1].split(".")
    arranging.publish("inv", "unseen")
    stream.read_until(">unseen<")
    again = console("channel=inv", f"ffff{epoch[4:]}.{number}.{at}")
    text = again.read_until(">unseen<")
    assert ">seen<" not in text


def test_a_filter_is_applied_here(console: Callable[..., Console], arranging: redis.Redis) -> None:
    stream = console("pattern=*&text=needle&in=news:*")
    stream.read_until("heard from")
    arranging.publish("other", "needle elsewhere")
    arranging.publish("news:1", "hay")
    arranging.publish("news:1", "a Needle")
    text = stream.read_until("a Needle")
    assert "elsewhere" not in text
    assert "hay" not in text


def test_a_carriage_return_does_not_break_a_message(console: Callable[..., Console], arranging: redis.Redis) -> None:
    stream = console("channel=inv")
    stream.read_until("heard from")
    arranging.publish("inv", "one\rdata: two\r\n\r\nevent: session-ended\n\ndata: x")
    arranging.publish("inv", "end")
    text = stream.read_until(">end<")
    assert not re.search(r"^event:", text, re.MULTILINE)


@given(st.text())
def test_any_markup_is_one_message(markup: str) -> None:
    text = as_message(markup, "e.1.2").decode()
    assert text.startswith("id: e.1.2\n")
    assert text.endswith("\n\n")
    lines = re.split(r"\r\n|\r|\n", text[:-2])
    assert all(line.startswith("data: ") for line in lines[1:])
    assert "\n".join(line[6:] for line in lines[1:]).replace("&#13;", "\r") == markup.replace("&#13;", "\r")


def test_it_ends_when_the_session_does(
    app: Flask, store: Store, console: Callable[..., Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "SESSION_SECONDS", 0.0)
    stream = console("channel=inv")
    stream.read_until("heard from")
    assert "session-ended" not in stream.text
    vera = operators.by_name(store, NAMES[Role.VIEWER])
    assert vera is not None
    operators.set_role(store, vera.id, Role.OPERATOR)
    assert stream.read_to_the_end().endswith("event: session-ended\ndata: The session has ended.\n\n")


def test_it_ends_when_the_process_does(app: Flask, console: Callable[..., Console]) -> None:
    ending: list[bool] = []
    app.extensions[STOPPING] = lambda: bool(ending)
    stream = console("channel=inv")
    stream.read_until("heard from")
    ending.append(True)
    assert "session-ended" not in stream.read_to_the_end()


def test_a_stream_does_not_keep_a_session_alive(app: Flask) -> None:
    with app.test_request_context():
        from dashboard.views.access import access_of

        assert access_of(app, "event_stream.show").background


def test_nobody_streams_without_signing_in(client: FlaskClient) -> None:
    assert client.get(f"{PATH}/stream?channel=inv").status_code == 303
    assert client.get(f"{PATH}/stream?channel=inv", headers={"HX-Request": "true"}).status_code == 401


def test_there_is_a_bound_to_open_streams(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    app = make_app(settings.model_copy(update={"streams": 2}))
    viewer = signed_in_client(app, Role.VIEWER)
    first, second = Console(viewer, "channel=inv"), Console(viewer, "channel=inv")
    third = Console(viewer, "channel=inv")
    assert third.answer.status_code == 503
    assert "2 consoles are open" in third.answer.text
    first.close()  # of which nothing was read
    fourth = Console(viewer, "channel=inv")
    assert fourth.answer.status_code == 200
    for one in (second, fourth):
        one.close()
    hearing = next(iter(deck_of(app).hub._hearings.values()))
    assert not hearing.watched


def test_positions_are_read_as_they_are_written() -> None:
    position = Position("ab12", 7, 1234.5)
    assert event_position.read(str(position)) == position
    for text in ("", "x", "ab12.7", "zz.1.2", "ab12.7.1;drop", "ab12." + "9" * 30 + ".1"):
        assert event_position.read(text) is None


def test_everything_is_shown_or_counted(console: Callable[..., Console], arranging: redis.Redis) -> None:
    stream = console("channel=inv")
    stream.read_until("heard from")
    sent = 5000
    arranging.eval("for n = 1, ARGV[1] do redis.call('PUBLISH', 'inv', 'n' .. n) end", 0, sent)

    def counted() -> bool:
        stream.text += unescape(_bytes(next(stream._messages)).decode())
        told = re.findall(r'<hx-partial hx-target="#event-counts"[^\n]*', stream.text)
        if not told:
            return False
        figures = [int(re.sub(r"\D", "", one)) for one in re.findall(r'class="n">([^<]*)<', told[-1])]
        return sum(figures) == sent and len(re.findall('<li class="event">', stream.text)) == figures[0]

    wait_until(counted, "shown, left out and lost are all that was sent")
    assert stream.text.count(">n5000<") == 1, "the newest is among them"
