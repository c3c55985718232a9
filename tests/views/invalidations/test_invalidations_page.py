"""An invalidation from its form over its plan to its undo: refused where it must be, and exactly what was planned."""

from __future__ import annotations

import html
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import quote

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from dashboard.cache.selecting.key_token import to_token
from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import Standing
from dashboard.jobs.pool import Pool
from dashboard.settings import Settings
from dashboard.store import audit, invalidations, jobs
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.schema import InvalidationRow, JobRow
from tests.programs import wait_until
from tests.servers import Server
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client

PATH = "/caches/main/invalidations"
KEYS = 300


@pytest.fixture
def settings(settings: Settings, valkey: Server) -> Settings:
    with valkey.client() as client:
        client.flushall()
        for number in range(KEYS):
            client.set(f"api:search:{number}", f"v{number}" * 20, ex=900)
            client.set(f"other:{number}", "v")
    urls = (
        f"main={valkey.url}",
        f"elsewhere={valkey.url}/1",
        f"live={valkey.url}?environment=production",
        f"seen={valkey.url}?read_only=yes",
    )
    return settings.model_copy(update={"caches": Settings(caches=" ".join(urls)).caches})  # type: ignore[arg-type]


@pytest.fixture
def keys(valkey: Server) -> Iterator[redis.Redis]:
    with closing(valkey.client()) as client:
        yield client


@pytest.fixture
def worker(app: Flask) -> Iterator[None]:
    with working(app):
        yield


@contextmanager
def working(app: Flask) -> Iterator[None]:
    """A block in which jobs are done."""
    deck = deck_of(app)
    pool = Pool(deck.store, deck.caches, deck.settings)
    pool.start()
    yield
    pool.finish(5)


def count(keys: redis.Redis, pattern: str) -> int:
    return sum(1 for _ in keys.scan_iter(pattern, count=1000))


def number_in(location: str) -> int:
    found = re.search(r"/invalidations/(\d+)", location)
    assert found, location
    return int(found[1])


def standing(app: Flask, number: int) -> Standing:
    deck = deck_of(app)
    found = invalidating.current(deck.store, deck.settings, number)
    assert found
    return found


def settled(app: Flask, number: int) -> Standing:
    """Once nothing of it goes on any more."""
    wait_until(lambda: not (job := standing(app, number).job) or not job.open, f"invalidation {number} settles")
    return standing(app, number)


def planned(app: Flask, client: FlaskClient, cache: str = "main", **fields: str) -> int:
    answer = post(client, f"/caches/{cache}/invalidations", {"pattern": "api:search:*", **fields})
    assert answer.status_code == 303, answer.text
    number = number_in(answer.location)
    settled(app, number)
    return number


def executed(app: Flask, client: FlaskClient, number: int, cache: str = "main", **fields: str) -> Standing:
    answer = post(client, f"/caches/{cache}/invalidations/{number}/execution", {"vault": "yes", **fields})
    assert answer.status_code == 303, answer.text
    return settled(app, number)


class TestTheForm:
    def test_it_is_filled_in_from_the_address(self, operator: FlaskClient) -> None:
        text = operator.get(f"{PATH}?pattern=api:*&type=string&ttl=none&size=>1024").text
        assert 'value="api:*"' in text
        assert '<option value="string" selected>' in text
        assert '<option value="none" selected>' in text
        assert '<option value="&gt;1024" selected>' in text

    def test_all_keys_leave_the_pattern_empty_so_that_nobody_plans_them_by_one_click(
        self, operator: FlaskClient, store: Store
    ) -> None:
        assert re.search(r'name="pattern" type="text" value=""', operator.get(PATH).text)
        answer = post(operator, PATH, {"pattern": "", "type": "", "ttl": "", "size": ""})
        assert answer.status_code == 422
        assert "Every key is *, typed out." in answer.text
        assert invalidations.newest(store, "main") == []

    def test_an_empty_list_is_no_list_of_everything(self, operator: FlaskClient, store: Store) -> None:
        answer = post(operator, PATH, {"keys": " \n\n"})
        assert answer.status_code == 422
        assert "An empty list never means all keys." in answer.text
        assert invalidations.newest(store, "main") == []

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"pattern": "*" + "x" * 1025 + "*"}, "bytes"),
            ({"pattern": "a*b" * 40}, "at most"),
            ({"pattern": "api:*", "ttl": "soon"}, "A TTL filter is"),
            ({"pattern": "api:*", "size": "big"}, "A size filter is"),
        ],
    )
    def test_it_says_what_is_wrong_and_keeps_what_was_typed(
        self, fields: dict[str, str], sentence: str, operator: FlaskClient, store: Store
    ) -> None:
        answer = post(operator, PATH, fields)
        assert answer.status_code == 422
        assert sentence in answer.text
        assert f'value="{fields["pattern"]}"' in answer.text
        assert invalidations.newest(store, "main") == []

    def test_viewers_have_none_and_read_only_caches_have_none(
        self, viewer: FlaskClient, operator: FlaskClient, store: Store
    ) -> None:
        assert "Make a plan" not in viewer.get(PATH).text
        assert post(viewer, PATH, {"pattern": "api:*"}).status_code == 403
        assert "read-only, so nothing is invalidated" in operator.get("/caches/seen/invalidations").text
        assert post(operator, "/caches/seen/invalidations", {"pattern": "api:*"}).status_code == 409
        assert invalidations.newest(store, "main") + invalidations.newest(store, "seen") == []

    @pytest.mark.usefixtures("worker")
    def test_a_pasted_list_is_planned_and_may_be_long(self, app: Flask, operator: FlaskClient) -> None:
        names = [f"api:search:{number}" for number in range(5)] + [f"gone:{'x' * 60}:{n}" for n in range(30_000)]
        answer = post(operator, PATH, {"keys": "\r\n".join(names)})
        assert answer.status_code == 303, answer.text
        found = settled(app, number_in(answer.location))
        assert found.plan
        assert found.plan.report.keys.value == 5

    def test_a_list_of_another_form_is_as_bounded_as_ever(self, operator: FlaskClient) -> None:
        assert post(operator, "/caches/main/retimings", {"pattern": "x" * 3_000_000}).status_code == 413


@pytest.mark.usefixtures("worker")
class TestThePlan:
    def test_it_says_what_would_happen_and_changes_nothing(
        self, app: Flask, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        number = planned(app, operator)
        text = operator.get(f"{PATH}/{number}").text
        assert f"Invalidate: plan {number}" in text
        assert "<strong>300 keys" in text
        assert "exact, walked in" in text
        assert "1 key/s expires, evenly over 5\u202fmin" in text
        assert "Takes 600\u202fms for 300 keys." in text or "No slower than at once" in text
        assert "Keep each key in the vault for 24 h" in text
        assert "Good until" in text
        assert count(keys, "*") == 2 * KEYS

    def test_predictions_follow_what_is_typed(self, app: Flask, operator: FlaskClient) -> None:
        number = planned(app, operator)
        query = "mode=gently&window=1m&rate=x&grace=20s"
        text = operator.get(f"{PATH}/{number}/predictions?{query}", headers=by_htmx(operator)).text
        assert "5 keys/s expire, evenly over 1\u202fmin" in text
        assert "Write keys a second: 500." in text
        assert "for 20\u202fs more" in text
        assert operator.get(f"{PATH}/{number}/predictions?{query}").status_code == 303

    def test_viewers_see_it_without_the_act(self, app: Flask, operator: FlaskClient, viewer: FlaskClient) -> None:
        number = planned(app, operator)
        text = viewer.get(f"{PATH}/{number}").text
        assert "300 keys" in text
        assert "/execution" not in text
        for act in ("execution", "approval", "task", "undos"):
            assert post(viewer, f"{PATH}/{number}/{act}").status_code == 403

    def test_one_of_another_cache_does_not_exist_here(
        self, app: Flask, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        number = planned(app, operator)
        for act in ("execution", "approval", "task", "undos"):
            answer = post(operator, f"/caches/elsewhere/invalidations/{number}/{act}", {"vault": "yes"})
            assert answer.status_code == 404
        assert operator.get(f"/caches/elsewhere/invalidations/{number}").status_code == 404
        assert count(keys, "api:search:*") == KEYS

    def test_a_fragment_polls_while_it_is_made_and_not_after(self, app: Flask, operator: FlaskClient) -> None:
        number = planned(app, operator)
        text = operator.get(f"{PATH}/{number}", headers=by_htmx(operator)).text
        assert "<html" not in text
        assert "every 1s" not in text

    def test_no_such_key_is_no_act(self, app: Flask, operator: FlaskClient) -> None:
        number = planned(app, operator, pattern="nothing:*")
        text = operator.get(f"{PATH}/{number}").text
        assert "No key is selected." in text
        assert "/execution" not in text
        assert post(operator, f"{PATH}/{number}/execution", {"vault": "yes"}).status_code == 409

    def test_hostile_names_are_drawn_as_text(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        keys.set(b"evil:<script>alert(1)</script>\xff", "v")
        number = planned(app, operator, pattern="evil:*")
        text = operator.get(f"{PATH}/{number}").text
        assert "<script>alert" not in text
        assert "\\xff" in text


def test_it_says_that_it_goes_on_while_no_worker_has_taken_it(operator: FlaskClient) -> None:
    answer = post(operator, PATH, {"pattern": "api:search:*"})
    text = operator.get(answer.location, headers=by_htmx(operator)).text
    assert "every 1s" in text
    assert post(operator, f"{answer.location}/execution", {"vault": "yes"}).status_code == 409


@pytest.mark.usefixtures("worker")
class TestTheAct:
    def test_it_does_what_was_planned_and_leaves_others_alone(
        self, app: Flask, operator: FlaskClient, store: Store, keys: redis.Redis
    ) -> None:
        number = planned(app, operator)
        found = executed(app, operator, number, reason="bad deploy")
        assert found.state == "done"
        assert found.done
        assert found.done.counts.removed == KEYS
        assert (count(keys, "api:search:*"), count(keys, "other:*")) == (0, KEYS)
        text = operator.get(f"{PATH}/{number}").text
        assert "300 keys were removed" in text
        assert "Planned 300, found 300: exactly as many." in text
        assert "Bring back up to 300 keys" in text
        entry = audit.search(store, Filters(action="keys.invalidate"))[0]
        assert (entry.cache, entry.actor, entry.status, entry.reason) == ("main", "otto", "done", "bad deploy")

    def test_it_says_how_far_from_the_plan_it_was(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        number = planned(app, operator)
        keys.delete(*(f"api:search:{one}" for one in range(20)))
        keys.set("api:search:new", "v")
        executed(app, operator, number)
        text = operator.get(f"{PATH}/{number}").text
        assert "Planned 300, found 281: 19 fewer, which expired, were removed or changed since." in text

    def test_gently_lowers_and_removes_nothing(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        number = planned(app, operator)
        found = executed(app, operator, number, mode="gently", window="2m", grace="10s", rate="500")
        assert found.done
        assert found.done.counts.lowered == KEYS
        left = [keys.pttl(f"api:search:{one}") for one in range(KEYS)]
        assert all(one == -2 or 0 <= one <= 120_000 for one in left)  # some have expired by now
        assert sum(one > 60_000 for one in left) > KEYS / 4
        text = operator.get(f"{PATH}/{number}").text
        assert "300 keys were spread over 2\u202fmin." in text
        assert "When they expire" in text

    def test_applications_are_told_and_receivers_counted(
        self, app: Flask, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        with closing(keys.pubsub()) as listener:
            listener.subscribe("drop")
            listener.get_message(timeout=60)
            number = planned(app, operator)
            executed(app, operator, number, tell="yes", channel="drop", per="pattern")
        text = operator.get(f"{PATH}/{number}").text
        assert "1 message on drop, 1 receiver." in text

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"mode": "sideways"}, "Choose how the keys are to go"),
            ({"mode": "gently", "window": "soon"}, "Write a time such as"),
            ({"mode": "paced", "rate": "many"}, "Write keys a second: 500."),
            ({"mode": "stale", "grace": "900d"}, "The time is between"),
            ({"mode": "now", "tell": "yes", "channel": ""}, "A channel&#39;s name has"),
        ],
    )
    def test_it_says_what_is_wrong_and_does_nothing(
        self, fields: dict[str, str], sentence: str, app: Flask, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        number = planned(app, operator)
        answer = post(operator, f"{PATH}/{number}/execution", {"vault": "yes", **fields})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert "Nothing was changed." in answer.text
        assert standing(app, number).run_job is None
        assert count(keys, "api:search:*") == KEYS

    def test_without_the_vault_there_is_no_undo(self, app: Flask, operator: FlaskClient) -> None:
        number = planned(app, operator)
        executed(app, operator, number, vault="", mode="now")
        text = operator.get(f"{PATH}/{number}").text
        assert "so it cannot be taken back" in text
        assert "/undos" not in text
        assert post(operator, f"{PATH}/{number}/undos").status_code == 409

    def test_of_a_double_click_one_is_done(self, app: Flask, store: Store) -> None:
        clients = [signed_in_client(app, Role.OPERATOR) for _ in range(4)]
        number = planned(app, clients[0])
        gate = threading.Barrier(len(clients))

        def click(client: FlaskClient) -> tuple[int, str]:
            gate.wait(120)
            answer = post(client, f"{PATH}/{number}/execution", {"vault": "yes"})
            return answer.status_code, str(answer.location)

        with ThreadPoolExecutor(len(clients)) as pool:
            answers = set(pool.map(click, clients))
        assert answers == {(303, f"{PATH}/{number}")}
        assert len(jobs.newest(store, "main", invalidating.RUN)) == 1

    def test_it_is_done_once_and_says_so(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        number = planned(app, operator)
        executed(app, operator, number)
        keys.set("api:search:1", "anew")
        answer = post(operator, f"{PATH}/{number}/execution", {"vault": "yes"})
        assert (answer.status_code, answer.location) == (303, f"{PATH}/{number}")
        assert "carried out already" in operator.get(answer.location).text
        assert keys.exists("api:search:1")

    def test_every_key_must_be_meant(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        number = planned(app, operator, pattern="*")
        assert "This is about every key of main" in operator.get(f"{PATH}/{number}").text
        answer = post(operator, f"{PATH}/{number}/execution", {"vault": "yes"})
        assert answer.status_code == 400
        assert "type * to say that you mean it" in answer.text
        assert count(keys, "*") == 2 * KEYS
        executed(app, operator, number, everything="*")
        assert count(keys, "*") == 0

    def test_production_asks_for_its_name(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        number = planned(app, operator, "live")
        assert "Type live to go on" in operator.get(f"/caches/live/invalidations/{number}").text
        answer = post(operator, f"/caches/live/invalidations/{number}/execution", {"vault": "yes", "typed": "main"})
        assert answer.status_code == 400
        assert count(keys, "api:search:*") == KEYS
        executed(app, operator, number, "live", typed="live")
        assert count(keys, "api:search:*") == 0
        assert post(operator, f"/caches/live/invalidations/{number}/undos").status_code == 400
        assert post(operator, f"/caches/live/invalidations/{number}/undos", {"typed": "live"}).status_code == 303
        settled(app, number)
        assert count(keys, "api:search:*") == KEYS

    def test_an_old_plan_must_be_made_again(
        self, app: Flask, operator: FlaskClient, store: Store, keys: redis.Redis
    ) -> None:
        number = planned(app, operator)
        with store.write() as session:
            old = time.time() - invalidating.GOOD_SECONDS - 1
            session.execute(update(JobRow).where(JobRow.about == number).values(ended_at=old))
            session.execute(update(InvalidationRow).where(InvalidationRow.id == number).values(expires_at=time.time()))
        text = operator.get(f"{PATH}/{number}").text
        assert "older than 15 min" in text
        assert "Plan again" in text
        assert "/execution" not in text
        assert post(operator, f"{PATH}/{number}/execution", {"vault": "yes"}).status_code == 409
        assert count(keys, "api:search:*") == KEYS

    def test_another_that_may_touch_the_same_keys_is_named_and_must_be_wanted(
        self, app: Flask, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        slow = planned(app, operator, pattern="api:*")
        answer = post(operator, f"{PATH}/{slow}/execution", {"vault": "yes", "mode": "paced", "rate": "1"})
        assert answer.status_code == 303
        number = planned(app, operator)
        text = operator.get(f"{PATH}/{number}").text
        assert "It may be about the same keys as job" in text
        answer = post(operator, f"{PATH}/{number}/execution", {"vault": "yes"})
        assert answer.status_code == 409
        assert "works on keys that this one may select too" in answer.text
        executed(app, operator, number, despite_overlap="yes")
        run = standing(app, slow).run_job
        assert run
        post(operator, f"/caches/main/jobs/{run.id}/cancellation")
        settled(app, slow)


@pytest.mark.usefixtures("worker")
class TestANameThatLooksLikeAPattern:
    @pytest.mark.parametrize("name", ["q=[a]", "back\\slash"])
    def test_the_key_of_that_name_can_be_planned_instead(
        self, app: Flask, operator: FlaskClient, keys: redis.Redis, name: str
    ) -> None:
        keys.set(name, "v")
        number = planned(app, operator, pattern=name)
        text = operator.get(f"{PATH}/{number}").text
        assert "There is no such key" in text
        form = text.partition("named exactly so?")[2].partition("</form>")[0]
        fields = {found[1]: html.unescape(found[2]) for found in re.finditer(r'name="(\w+)" value="([^"]*)"', form)}
        fields.pop("csrf_token", None)
        answer = post(operator, "/caches/main/invalidations", fields)
        found = settled(app, number_in(answer.location))
        assert found.plan
        assert found.plan.report.keys.value == 1
        executed(app, operator, found.invalidation.number)
        assert not keys.exists(name)

    def test_of_an_ordinary_pattern_nothing_is_asked(self, app: Flask, operator: FlaskClient) -> None:
        number = planned(app, operator, pattern="nobody:*")
        text = operator.get(f"{PATH}/{number}").text
        assert "There is no such key" in text
        assert "named exactly so" not in text
        assert "misses" not in text


@pytest.mark.usefixtures("worker")
class TestTheUndo:
    def test_it_brings_back_what_was_removed_and_leaves_what_is_newer(
        self, app: Flask, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        number = planned(app, operator)
        executed(app, operator, number)
        keys.set("api:search:7", "newer")
        answer = post(operator, f"{PATH}/{number}/undos", {"reason": "wrong keys"})
        assert answer.status_code == 303
        found = settled(app, number)
        assert found.state == "undone"
        assert (count(keys, "api:search:*"), keys.get("api:search:7")) == (KEYS, b"newer")
        assert keys.get("api:search:8") == b"v8" * 20
        assert 0 < keys.ttl("api:search:8") <= 900
        text = operator.get(f"{PATH}/{number}").text
        assert "299 keys are back; 1 was written since, left as it is." in text

    def test_it_can_be_a_part(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        number = planned(app, operator)
        executed(app, operator, number)
        post(operator, f"{PATH}/{number}/undos", {"pattern": "api:search:1*"})
        settled(app, number)
        assert count(keys, "api:search:*") == 111
        assert "Undo of api:search:1*" in operator.get(f"{PATH}/{number}").text

    def test_an_empty_pattern_is_nothing(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        number = planned(app, operator)
        executed(app, operator, number)
        answer = post(operator, f"{PATH}/{number}/undos", {"pattern": " "})
        assert answer.status_code == 422
        assert "a pattern is empty here" in answer.text
        assert "Bring back up to 300 keys" in answer.text  # and it can be said better there
        assert count(keys, "api:search:*") == 0

    def test_a_pattern_that_is_refused_stands_in_its_field(
        self, app: Flask, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        number = planned(app, operator)
        executed(app, operator, number)
        pattern = "a*" * 30
        answer = post(operator, f"{PATH}/{number}/undos", {"pattern": pattern})
        assert answer.status_code == 422
        assert f'value="{pattern}"' in answer.text
        assert "at most 16 stars" in answer.text
        assert count(keys, "api:search:*") == 0

    def test_whoever_is_second_is_led_to_what_goes_on(self, app: Flask, operator: FlaskClient) -> None:
        number = planned(app, operator)
        executed(app, operator, number)
        first = jobs.create(deck_of(app).store, "main", "invalidate.undo", {}, "ada", "", about=number, owner="ada")
        answer = post(operator, f"{PATH}/{number}/undos")
        assert (answer.status_code, answer.location) == (303, f"{PATH}/{number}")
        assert f"being undone already, by job {first.id}" in operator.get(answer.location).text

    def test_of_what_was_not_begun_there_is_none(self, app: Flask, operator: FlaskClient) -> None:
        number = planned(app, operator)
        assert post(operator, f"{PATH}/{number}/undos").status_code == 409


@pytest.mark.usefixtures("worker")
class TestTheList:
    def test_it_says_what_is_planned_and_what_was_done(self, app: Flask, operator: FlaskClient) -> None:
        done = planned(app, operator)
        executed(app, operator, done)
        only_planned = planned(app, operator, pattern="other:*")
        text = operator.get(PATH).text
        rows = {row[0]: row[1] for row in re.findall(r'<tr id="invalidation-(\d+)">(.*?)</tr>', text, re.DOTALL)}
        assert "Keys of other:*" in rows[str(only_planned)]
        assert "planned" in rows[str(only_planned)]
        assert "Undo" not in rows[str(only_planned)]
        assert "done" in rows[str(done)]
        assert f"{PATH}/{done}#undo" in rows[str(done)]
        assert "The vault holds 1 invalidation of all caches" in text
        fragment = operator.get(PATH, headers=by_htmx(operator)).text
        assert "<html" not in fragment
        assert "every 5s" in fragment

    def test_of_another_cache_there_is_nothing(self, app: Flask, operator: FlaskClient) -> None:
        planned(app, operator)
        assert "Nothing has been invalidated here yet" in operator.get("/caches/elsewhere/invalidations").text

    def test_older_ones_stand_on_further_pages(self, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dashboard.views.invalidations.lines.PAGE", 2)
        for letter in "abc":
            post(operator, PATH, {"pattern": f"{letter}:*"})
        first = operator.get(PATH).text
        assert "Keys of c:*" in first
        assert "Keys of a:*" not in first
        older = re.search(r'href="([^"]*before=\d+)"', first)
        assert older
        assert "Keys of a:*" in operator.get(older[1]).text
        assert operator.get(f"{PATH}?before=-3").status_code == 200


class TestTwoPairsOfEyes:
    @pytest.fixture
    def app(self, settings: Settings, make_app: Callable[[Settings], Flask]) -> Iterator[Flask]:
        app = make_app(settings.model_copy(update={"approve_keys": 100}))
        with working(app):
            yield app

    def test_another_operator_approves_it_as_it_stands(self, app: Flask, keys: redis.Redis) -> None:
        planner, other = signed_in_client(app, Role.OPERATOR), signed_in_client(app, Role.ADMIN)
        number = planned(app, planner)
        text = planner.get(f"{PATH}/{number}").text
        assert "another operator has to approve it" in text
        assert "/execution" not in text
        assert "Nobody approves their own plan." in text
        assert post(planner, f"{PATH}/{number}/execution", {"vault": "yes"}).status_code == 409
        assert post(planner, f"{PATH}/{number}/approval", {"seen": seen(planner, number)}).status_code == 409
        answer = post(other, f"{PATH}/{number}/approval", {"seen": seen(other, number)})
        assert answer.status_code == 303, answer.text
        assert "Approved by ada" in planner.get(f"{PATH}/{number}").text
        executed(app, planner, number)
        assert count(keys, "api:search:*") == 0

    def test_what_was_changed_since_one_looked_is_not_approved(self, app: Flask) -> None:
        planner, other = signed_in_client(app, Role.OPERATOR), signed_in_client(app, Role.ADMIN)
        number = planned(app, planner)
        looked = seen(other, number)
        assert post(planner, f"{PATH}/{number}/task", {"mode": "now"}).status_code == 303
        answer = post(other, f"{PATH}/{number}/approval", {"seen": looked})
        assert answer.status_code == 409
        assert "was changed while you looked at it" in answer.text
        assert not standing(app, number).invalidation.approved_by

    def test_nobody_but_its_planner_says_how_it_is_done(self, app: Flask) -> None:
        planner, other = signed_in_client(app, Role.OPERATOR), signed_in_client(app, Role.ADMIN)
        number = planned(app, planner)
        assert post(other, f"{PATH}/{number}/task", {"mode": "paced", "rate": "9", "vault": "yes"}).status_code == 409
        assert standing(app, number).task.mode.name == "now"
        assert "/task" not in other.get(f"{PATH}/{number}").text

    def test_what_was_approved_is_what_is_done(self, app: Flask, keys: redis.Redis) -> None:
        planner, other = signed_in_client(app, Role.OPERATOR), signed_in_client(app, Role.ADMIN)
        number = planned(app, planner)
        post(other, f"{PATH}/{number}/approval", {"seen": seen(other, number)})
        assert post(planner, f"{PATH}/{number}/task", {"mode": "gently", "window": "1m"}).status_code == 409
        found = executed(app, planner, number, vault="", mode="gently", window="1m")
        assert found.task.vault
        assert found.done
        assert found.done.counts.removed == KEYS

    def test_a_list_beyond_it_is_not_removed_at_once(self, app: Flask, keys: redis.Redis) -> None:
        client = signed_in_client(app, Role.OPERATOR)
        names = [to_token(b"api:search:%d" % number) for number in range(150)]
        answer = post(client, "/caches/main/removals", {"key": names})
        assert answer.status_code == 303
        assert "Nothing was removed yet: this is its plan." in client.get(answer.location).text
        assert count(keys, "api:search:*") == KEYS


def seen(client: FlaskClient, number: int) -> str:
    """The mark of the task that a page shows; of the planner's own page, which offers no approval, some other."""
    found = re.search(r'name="seen" value="(\w+)"', client.get(f"{PATH}/{number}").text)
    return found[1] if found else ""


class TestTheVaultIsTooSmall:
    @pytest.fixture
    def app(self, settings: Settings, make_app: Callable[[Settings], Flask]) -> Iterator[Flask]:
        app = make_app(settings.model_copy(update={"vault_mb": 1}))
        with working(app):
            yield app

    def test_it_says_so_beforehand_and_asks_for_the_choice(self, app: Flask, keys: redis.Redis) -> None:
        client = signed_in_client(app, Role.OPERATOR)
        for number in range(12):
            keys.set(f"large:{number}", os.urandom(200_000))
        number = planned(app, client, pattern="large:*")
        text = client.get(f"{PATH}/{number}").text
        assert "in the vault, which has" in text
        assert "Do without the vault: it cannot be taken back." in text
        answer = post(client, f"{PATH}/{number}/execution", {"mode": "now"})
        assert answer.status_code == 422
        assert "choose how it is to be done" in answer.text
        assert count(keys, "large:*") == 12
        found = executed(app, client, number, vault="no", mode="now")
        assert not found.task.vault
        assert count(keys, "large:*") == 0

    def test_room_is_made_only_when_asked(self, app: Flask, store: Store, keys: redis.Redis) -> None:
        client = signed_in_client(app, Role.OPERATOR)
        for name in ("first", "second"):
            for number in range(4):
                keys.set(f"{name}:{number}", os.urandom(180_000))
        first = planned(app, client, pattern="first:*")
        executed(app, client, first)
        second = planned(app, client, pattern="second:*")
        assert (
            f"Make room: the keys of {first} can no longer be brought back then." in client.get(f"{PATH}/{second}").text
        )
        found = executed(app, client, second, vault="room", mode="now")
        assert (found.state, found.task.vault) == ("done", True)
        assert standing(app, first).entry is None
        assert audit.search(deck_of(app).store, Filters(action="vault.drop"))[0].after == {"dropped": [first]}


class TestBothAtOnce:
    """A vault that is too small, and a plan that another operator has to approve."""

    @pytest.fixture
    def app(self, settings: Settings, make_app: Callable[[Settings], Flask]) -> Iterator[Flask]:
        app = make_app(settings.model_copy(update={"vault_mb": 1, "approve_keys": 4}))
        with working(app):
            yield app

    def test_room_is_made_when_it_is_carried_out_and_not_before(self, app: Flask, keys: redis.Redis) -> None:
        planner, other = signed_in_client(app, Role.OPERATOR), signed_in_client(app, Role.ADMIN)
        for number in range(3):
            keys.set(f"first:{number}", os.urandom(250_000))
        for number in range(4):
            keys.set(f"second:{number}", os.urandom(180_000))
        first = planned(app, planner, pattern="first:*")
        executed(app, planner, first)
        second = planned(app, planner, pattern="second:*")
        wish = {"mode": "now", "vault": "room"}
        assert post(planner, f"{PATH}/{second}/execution", wish).status_code == 409
        assert post(planner, f"{PATH}/{second}/task", wish).status_code == 303
        assert standing(app, first).entry is not None
        assert f"the keys of {first} can no longer be brought back once it is carried out" in (
            other.get(f"{PATH}/{second}").text
        )
        post(other, f"{PATH}/{second}/approval", {"seen": seen(other, second)})
        assert post(planner, f"{PATH}/{second}/execution").status_code == 409  # without room for what was approved
        assert standing(app, first).entry is not None
        assert "Make room" in planner.get(f"{PATH}/{second}").text
        found = executed(app, planner, second, vault="room")
        assert (found.state, found.task.vault) == ("done", True)
        assert standing(app, first).entry is None


class TestTickedKeys:
    def test_they_are_removed_at_once_with_the_undo_beside_the_result(
        self, operator: FlaskClient, keys: redis.Redis, store: Store
    ) -> None:
        names = [to_token(b"api:search:1"), to_token(b"api:search:2"), to_token(b"never:was")]
        answer = post(operator, "/caches/main/removals?pattern=api:*", {"key": names, "reason": "wrong"})
        assert (answer.status_code, answer.location) == (303, "/caches/main/keys?pattern=api:*")
        text = operator.get(answer.location).text
        assert "Removed 2 keys; 1 had gone already." in text
        assert count(keys, "api:search:*") == KEYS - 2
        undo = re.search(r'action="([^"]*/undos)"', text)
        back = re.search(r'name="next" value="([^"]*)"', text)
        assert undo
        assert back
        answer = post(operator, undo[1], {"next": back[1]})
        assert (answer.status_code, answer.location) == (303, "/caches/main/keys?pattern=api:*")
        assert "2 keys are back." in operator.get(answer.location).text
        assert count(keys, "api:search:*") == KEYS
        entry = audit.search(store, Filters(action="key.remove"))[0]
        assert entry.before == {"keys": ["api:search:1", "api:search:2", "never:was"]}
        assert (entry.reason, entry.after["removed"]) == ("wrong", 2)

    def test_an_undo_that_did_not_bring_all_back_leads_to_its_page(
        self, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        names = [to_token(b"api:search:1"), to_token(b"api:search:2")]
        back = {"next": "/caches/main/keys?pattern=api:*"}
        text = operator.get(post(operator, "/caches/main/removals", {"key": names}).location).text
        undo = re.search(r'action="([^"]*/undos)"', text)
        assert undo
        limit = keys.config_get("maxmemory")["maxmemory"]
        keys.config_set("maxmemory", 1)
        try:
            answer = post(operator, undo[1], back)
        finally:
            keys.config_set("maxmemory", limit)
        assert f"{answer.location}/undos" == undo[1]  # where it can be done again
        text = operator.get(answer.location).text
        assert "out of memory" in text
        assert "Bring back up to 2 keys" in text
        keys.set("api:search:1", "newer")
        answer = post(operator, undo[1], back)
        assert f"{answer.location}/undos" == undo[1]
        text = operator.get(answer.location).text
        assert "1 key is back; 1 was written since" in text
        assert "api:search:1" in text

    @pytest.mark.parametrize("path", ["removals", "keys/api:search:1/removal"])
    def test_an_address_that_cannot_be_read_changes_nothing(
        self, operator: FlaskClient, keys: redis.Redis, path: str
    ) -> None:
        answer = post(operator, f"/caches/main/{path}?ttl=bogus", {"key": [to_token(b"api:search:1")]})
        assert answer.status_code == 400
        assert count(keys, "api:search:*") == KEYS

    def test_the_offer_to_undo_fits_into_a_cookie_however_long_names_are(
        self, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        noise = random.Random(1)
        name = "".join(chr(noise.randrange(0x1F300, 0x1F600)) for _ in range(3000))
        pattern = "".join(chr(noise.randrange(0x21, 0x7F)) for _ in range(5000)).translate(
            {ord(c): "a" for c in "*?[&#%"}
        )
        keys.set(name, "v")
        answer = post(operator, f"/caches/main/removals?pattern={quote(pattern)}", {"key": [to_token(name.encode())]})
        assert answer.status_code == 303
        (cookie,) = answer.headers.getlist("Set-Cookie")
        assert len(cookie) < 4093  # more is dropped by browsers, and the undo with it
        assert "/undos" in operator.get("/caches/main/keys").text

    def test_none_ticked_is_nothing(self, operator: FlaskClient, keys: redis.Redis) -> None:
        assert post(operator, "/caches/main/removals").status_code == 400
        assert post(operator, "/caches/main/removals", {"key": ["~!!"]}).status_code == 404
        assert count(keys, "*") == 2 * KEYS

    def test_a_viewer_and_a_read_only_cache_are_refused(
        self, viewer: FlaskClient, operator: FlaskClient, keys: redis.Redis
    ) -> None:
        assert post(viewer, "/caches/main/removals", {"key": ["api:search:1"]}).status_code == 403
        assert post(operator, "/caches/seen/removals", {"key": ["api:search:1"]}).status_code == 409
        assert keys.exists("api:search:1")
        assert 'name="key"' not in viewer.get("/caches/main/keys").text

    def test_production_asks_for_its_name_and_its_undo_does(self, operator: FlaskClient, keys: redis.Redis) -> None:
        assert post(operator, "/caches/live/removals", {"key": ["api:search:1"]}).status_code == 400
        assert keys.exists("api:search:1")
        answer = post(operator, "/caches/live/removals", {"key": ["api:search:1"], "typed": "live"})
        text = operator.get(answer.location).text
        assert "Removed 1 key: api:search:1" in text
        assert re.search(r'href="/caches/live/invalidations/\d+#undo"', text)

    @pytest.mark.usefixtures("worker")
    def test_they_can_be_planned_instead(self, app: Flask, operator: FlaskClient, keys: redis.Redis) -> None:
        answer = post(operator, PATH, {"key": [to_token(b"api:search:1"), to_token(b"api:search:2")]})
        found = settled(app, number_in(answer.location))
        assert found.plan
        assert found.plan.report.keys.value == 2
        assert count(keys, "api:search:*") == KEYS
