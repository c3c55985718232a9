"""A retiming from its form over its dry run to what it did: refused where it must be, and exactly what was planned."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from dashboard.jobs.pool import Pool
from dashboard.jobs.retime_job import PLAN, RETIME
from dashboard.settings import Settings
from dashboard.store import audit, jobs
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.jobs import Job
from dashboard.store.operators import Role
from dashboard.store.schema import JobRow
from dashboard.views.filters import iso
from dashboard.views.retimings.retimings import GOOD_SECONDS
from tests.programs import wait_until
from tests.servers import Server
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client

NEW = "/caches/main/retimings/new"
PATH = "/caches/main/retimings"
KEYS = 300


@pytest.fixture
def settings(settings: Settings, valkey: Server) -> Settings:
    with valkey.client() as client:
        client.flushall()
        at = int(time.time()) + 1000
        for number in range(KEYS):
            client.set(f"api:search:{number}", "v", exat=at)
            client.set(f"other:{number}", "v", ex=500)
            client.set(f"forever:{number}", "v")
    urls = (
        f"main={valkey.url}",
        f"elsewhere={valkey.url}/1",
        f"live={valkey.url}?environment=production",
        f"seen={valkey.url}?read_only=yes",
    )
    return settings.model_copy(update={"caches": Settings(caches=" ".join(urls)).caches})  # type: ignore[arg-type]


@pytest.fixture
def worker(app: Flask) -> Iterator[None]:
    deck = deck_of(app)
    pool = Pool(deck.store, deck.caches, deck.settings)
    pool.start()
    yield
    pool.finish(5)


def _ended(store: Store, location: str) -> Job:
    """The job that a redirect leads to, once it has ended."""
    number = int(location.rsplit("/", 1)[1])
    wait_until(lambda: not _job(store, number).open, f"job {number} ends")
    return _job(store, number)


def _job(store: Store, number: int) -> Job:
    job = jobs.get(store, number)
    assert job
    return job


def _planned(client: FlaskClient, store: Store, cache: str = "main", **fields: str) -> Job:
    form = {"pattern": "api:search:*", "how": "jitter", "jitter": "5m", **fields}
    answer = post(client, f"/caches/{cache}/retimings", form)
    assert answer.status_code == 303, answer.text
    job = _ended(store, answer.location)
    assert job.kind == PLAN
    return job


def _expiries(valkey: Server, pattern: str) -> list[int]:
    with valkey.client() as client:
        return [client.pexpiretime(key) for key in client.scan_iter(pattern)]


class TestTheForm:
    def test_it_is_filled_in_from_the_address(self, operator: FlaskClient) -> None:
        text = operator.get(
            f"{NEW}?pattern=api:*&type=string&ttl=@1764000000-1764000002&jitter=300&direction=earlier"
        ).text
        assert 'value="api:*"' in text
        assert 'value="5m"' in text
        assert '<option value="@1764000000-1764000002" selected>' in text
        assert '<option value="earlier" selected>' in text
        text = operator.get(f"{NEW}?ttl=none&low=900&high=1800").text
        assert 'value="range" checked' in text
        assert 'value="15m"' in text
        assert 'value="30m"' in text

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"jitter": "soon"}, "Write a time such as"),
            ({"jitter": ""}, "Write a time such as"),
            ({"jitter": "x%"}, "Write a share such as 10%."),
            ({"jitter": "95%"}, "at most 90 %"),
            ({"jitter": "5m", "direction": "sideways"}, "earlier, later or both ways"),
            ({"how": "range", "low": "1h", "high": "1m"}, "its lower end first"),
            ({"how": "range", "low": "1h"}, "Write a time such as"),
            ({"jitter": "5m", "ttl": "never"}, "A TTL filter is"),
        ],
    )
    def test_it_says_what_is_wrong_and_starts_nothing(
        self, fields: dict[str, str], sentence: str, operator: FlaskClient, store: Store
    ) -> None:
        answer = post(operator, PATH, {"pattern": "api:*", "how": "jitter", **fields})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert jobs.newest(store, "main") == []

    def test_a_viewer_has_none(self, viewer: FlaskClient, store: Store) -> None:
        assert viewer.get(NEW).status_code == 403
        assert post(viewer, PATH, {"jitter": "5m"}).status_code == 403
        assert post(viewer, f"{PATH}/1/execution").status_code == 403
        assert jobs.newest(store, "main") == []

    def test_a_read_only_cache_refuses_it(self, operator: FlaskClient, store: Store) -> None:
        assert operator.get("/caches/seen/retimings/new").status_code == 409
        answer = post(operator, "/caches/seen/retimings", {"jitter": "5m"})
        assert answer.status_code == 409
        assert "declared read-only" in answer.text
        assert jobs.newest(store, "seen") == []


@pytest.mark.usefixtures("worker")
class TestTheDryRun:
    def test_it_says_what_would_happen_and_changes_nothing(
        self, operator: FlaskClient, store: Store, valkey: Server
    ) -> None:
        before = _expiries(valkey, "api:search:*")
        job = _planned(operator, store)
        text = operator.get(f"{PATH}/{job.id}").text
        assert "300 keys of 300 selected would be moved by up to 5\u202fmin to either side" in text
        assert "now at most 300 keys in one second expire, afterwards at most" in text
        assert re.search(r"afterwards at most \d+ keys? in one second", text)
        assert "would live longer than now" in text
        assert "Retime 300 keys" in text
        assert "It cannot be undone" in text
        assert set(_expiries(valkey, "api:search:*")) == set(before)

    def test_it_names_the_instant_on_the_page_in_the_list_of_jobs_and_in_the_audit_trail(
        self, operator: FlaskClient, store: Store, valkey: Server
    ) -> None:
        at = _expiries(valkey, "api:search:*")[0] // 1000
        when = f"expire between {iso(at)[11:19]} and {iso(at + 3)[11:19]} UTC on {iso(at)[:10]}, moved by up to"
        job = _planned(operator, store, ttl=f"@{at}-{at + 3}")
        assert when in operator.get(f"{PATH}/{job.id}").text
        assert when in operator.get("/caches/main/jobs").text
        _ended(store, post(operator, f"{PATH}/{job.id}/execution").location)
        assert when in audit.search(store, Filters(action="keys.retime"))[0].subject

    def test_it_counts_keys_without_ttl_apart(self, operator: FlaskClient, store: Store) -> None:
        text = operator.get(f"{PATH}/{_planned(operator, store, pattern='*', direction='earlier').id}").text
        assert "300 keys without TTL would stay without" in text
        assert "This is about every key of main" in text
        assert "would live longer" not in text

    def test_a_fragment_polls_while_it_runs_and_not_after(self, operator: FlaskClient, store: Store) -> None:
        job = _planned(operator, store)
        text = operator.get(f"{PATH}/{job.id}", headers=by_htmx(operator)).text
        assert "<html" not in text
        assert "hx-trigger" not in text
        queued = jobs.create(store, "nowhere", PLAN, job.arguments, "otto", "10.1.1.1")
        with store.write() as session:
            session.execute(update(JobRow).where(JobRow.id == queued.id).values(cache="elsewhere", created_at=1.0))
        text = operator.get(f"/caches/elsewhere/retimings/{queued.id}", headers=by_htmx(operator)).text
        assert 'hx-trigger="every 1s"' in text

    def test_it_is_seen_by_viewers_without_the_act(
        self, operator: FlaskClient, viewer: FlaskClient, store: Store
    ) -> None:
        job = _planned(operator, store)
        text = viewer.get(f"{PATH}/{job.id}").text
        assert "300 keys of 300" in text
        assert "/execution" not in text

    def test_one_of_another_cache_does_not_exist_here(self, operator: FlaskClient, store: Store) -> None:
        job = _planned(operator, store)
        assert operator.get(f"/caches/elsewhere/retimings/{job.id}").status_code == 404
        assert post(operator, f"/caches/elsewhere/retimings/{job.id}/execution").status_code == 404
        assert jobs.newest(store, "elsewhere", RETIME) == []


@pytest.mark.usefixtures("worker")
class TestTheAct:
    def test_it_does_exactly_what_was_planned_and_leaves_others_alone(
        self, operator: FlaskClient, store: Store, valkey: Server
    ) -> None:
        others, at = _expiries(valkey, "other:*"), _expiries(valkey, "api:search:*")[0]
        plan = _planned(operator, store, direction="earlier")
        answer = post(operator, f"{PATH}/{plan.id}/execution", {"reason": "a cliff"})
        assert answer.status_code == 303
        job = _ended(store, answer.location)
        assert (job.kind, job.state) == (RETIME, "finished")
        assert job.arguments == plan.arguments
        assert job.follows == plan.id
        after = _expiries(valkey, "api:search:*")
        assert len(set(after)) > KEYS / 2
        assert all(at - 300_000 <= moment <= at for moment in after)
        assert sorted(_expiries(valkey, "other:*")) == sorted(others)
        assert set(_expiries(valkey, "forever:*")) == {-1}
        text = operator.get(answer.location).text
        assert "300 keys were moved by up to 5\u202fmin to the earlier side." in text
        assert "300 of 300 keys moved in " in operator.get("/caches/main/jobs").text
        assert "300 of 300 keys would be moved." in operator.get("/caches/main/jobs").text
        assert "The dry run said 300: exactly as many." in text
        entry = audit.search(store, Filters(action="keys.retime"))[0]
        assert (entry.cache, entry.actor, entry.status, entry.reason) == ("main", "otto", "done", "a cliff")
        assert isinstance(entry.after, dict)
        assert (entry.after["changed"], entry.after["gone"], entry.after["refused"]) == (300, 0, 0)
        assert "See what it did" in operator.get(f"{PATH}/{plan.id}").text

    def test_it_says_how_many_fewer_there_were(self, operator: FlaskClient, store: Store, valkey: Server) -> None:
        plan = _planned(operator, store)
        with valkey.client() as client:
            client.delete(*(f"api:search:{number}" for number in range(20)))
        answer = post(operator, f"{PATH}/{plan.id}/execution")
        _ended(store, answer.location)
        assert "280 keys were moved" in operator.get(answer.location).text
        assert "The dry run said 300: 20 fewer" in operator.get(answer.location).text

    def test_of_a_double_click_one_is_done(self, app: Flask, store: Store) -> None:
        """Both ask before either has begun: the database decides."""
        clients = [signed_in_client(app, Role.OPERATOR) for _ in range(4)]
        plan = _planned(clients[0], store)
        gate = threading.Barrier(len(clients))

        def click(client: FlaskClient) -> str:
            gate.wait(120)
            return str(post(client, f"{PATH}/{plan.id}/execution").location)

        with ThreadPoolExecutor(len(clients)) as pool:
            places = set(pool.map(click, clients))
        done = jobs.newest(store, "main", RETIME)
        assert [job.follows for job in done] == [plan.id]
        assert places == {f"{PATH}/{done[0].id}"}

    def test_it_is_done_once(self, operator: FlaskClient, store: Store, valkey: Server) -> None:
        plan = _planned(operator, store)
        first = post(operator, f"{PATH}/{plan.id}/execution")
        _ended(store, first.location)
        moved = sorted(_expiries(valkey, "api:search:*"))
        again = post(operator, f"{PATH}/{plan.id}/execution")
        assert (again.status_code, again.location) == (303, first.location)
        assert post(operator, f"{first.location}/execution").status_code == 409
        assert len(jobs.newest(store, "main", RETIME)) == 1
        assert sorted(_expiries(valkey, "api:search:*")) == moved

    def test_every_key_must_be_meant(self, operator: FlaskClient, store: Store) -> None:
        plan = _planned(operator, store, pattern="*")
        answer = post(operator, f"{PATH}/{plan.id}/execution")
        assert answer.status_code == 400
        assert "type * to say that you mean it" in answer.text
        assert jobs.newest(store, "main", RETIME) == []
        assert post(operator, f"{PATH}/{plan.id}/execution", {"everything": "*"}).status_code == 303

    def test_an_old_dry_run_must_be_made_again(self, operator: FlaskClient, store: Store) -> None:
        plan = _planned(operator, store)
        with store.write() as session:
            old = time.time() - GOOD_SECONDS - 1
            session.execute(update(JobRow).where(JobRow.id == plan.id).values(ended_at=old))
        answer = post(operator, f"{PATH}/{plan.id}/execution")
        assert answer.status_code == 409
        assert "older than 15 min" in answer.text
        text = operator.get(f"{PATH}/{plan.id}").text
        assert "Make a new dry run" in text
        assert "/execution" not in text
        assert jobs.newest(store, "main", RETIME) == []

    def test_one_that_was_cancelled_is_not_carried_out(self, operator: FlaskClient, store: Store) -> None:
        plan = _planned(operator, store)
        with store.write() as session:
            session.execute(update(JobRow).where(JobRow.id == plan.id).values(state="cancelled"))
        assert post(operator, f"{PATH}/{plan.id}/execution").status_code == 409
        assert jobs.newest(store, "main", RETIME) == []

    def test_nothing_to_change_is_no_act(self, operator: FlaskClient, store: Store) -> None:
        plan = _planned(operator, store, pattern="forever:*")
        assert "There is nothing to change." in operator.get(f"{PATH}/{plan.id}").text
        assert post(operator, f"{PATH}/{plan.id}/execution").status_code == 409

    def test_production_asks_for_its_name(self, operator: FlaskClient, store: Store, valkey: Server) -> None:
        before = sorted(_expiries(valkey, "api:search:*"))
        plan = _planned(operator, store, cache="live")
        path = f"/caches/live/retimings/{plan.id}/execution"
        assert "Type live to go on" in operator.get(f"/caches/live/retimings/{plan.id}").text
        answer = post(operator, path, {"typed": "main"})
        assert answer.status_code == 400
        assert "production cache: type its name" in answer.text
        assert sorted(_expiries(valkey, "api:search:*")) == before
        _ended(store, post(operator, path, {"typed": "live"}).location)
        assert sorted(_expiries(valkey, "api:search:*")) != before

    def test_a_range_brings_keys_without_ttl_into_it(self, operator: FlaskClient, store: Store, valkey: Server) -> None:
        plan = _planned(operator, store, pattern="forever:*", ttl="none", how="range", low="15m", high="30m")
        text = operator.get(f"{PATH}/{plan.id}").text
        assert "300 keys that never expire now would expire" in text
        _ended(store, post(operator, f"{PATH}/{plan.id}/execution").location)
        now = time.time() * 1000
        assert all(now + 890_000 < moment < now + 1_800_001 for moment in _expiries(valkey, "forever:*"))

    def test_a_user_who_may_not_change_ttls_is_told_so(
        self, operator: FlaskClient, store: Store, valkey: Server, app: Flask
    ) -> None:
        with valkey.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-pexpire")
        try:
            plan = _planned(operator, store, cache="elsewhere", pattern="*")
            text = operator.get(f"/caches/elsewhere/retimings/{plan.id}").text
            assert "TTLs cannot be changed here. PEXPIRE: not allowed for this user." in text
            assert post(operator, f"/caches/elsewhere/retimings/{plan.id}/execution").status_code == 409
        finally:
            with valkey.client() as client:
                client.execute_command("ACL", "SETUSER", "default", "+pexpire")
