"""Schedules: seen by all, made and changed by operators, each change audited, production asked for twice."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import audit, schedules
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store
from dashboard.store.schedules import MOST, Draft, Schedule
from tests.servers import Server
from tests.views.conftest import by_htmx, post

PATH = "/caches/main/schedules"
FORM = {
    "pattern": "report:*",
    "when": "cron",
    "cron": "0  3 * * *",
    "mode": "gently",
    "window": "5m",
    "vault": "yes",
    "reason": "made anew at night",
}
DAY = 86400.0


@pytest.fixture
def settings(settings: Settings, valkey: Server) -> Settings:
    pairs = f"main={valkey.url} live={valkey.url}/1?environment=production frozen={valkey.url}/2?read_only=yes"
    return settings.model_copy(update={"caches": Settings(caches=pairs).caches})  # type: ignore[arg-type]


def _add(store: Store, cache: str = "main", cron: str = "0 3 * * *", at: float = 0.0, **task: str) -> Schedule:
    draft = Draft(cache, task or {"pattern": "report:*"}, cron, at or time.time() + DAY, "otto", "::1", "nightly")
    return schedules.create(store, draft)


def _only(store: Store, cache: str = "main") -> Schedule:
    (found,) = schedules.of_cache(store, cache)
    return found


def _get(store: Store, made: Schedule) -> Schedule:
    found = schedules.get(store, made.id)
    assert found
    return found


def _last(store: Store, action: str) -> Entry:
    return audit.search(store, Filters(action=action))[0]


class TestList:
    def test_it_says_that_there_is_none(self, viewer: FlaskClient) -> None:
        text = viewer.get(PATH).text
        assert "No invalidation is scheduled." in text
        assert "Nothing is scheduled here" in text

    def test_everybody_sees_what_is_scheduled_and_only_operators_may_change_it(
        self, viewer: FlaskClient, operator: FlaskClient, store: Store
    ) -> None:
        _add(store, mode="paced", rate="50", pattern="report:*")
        seen, acted = viewer.get(PATH).text, operator.get(PATH).text
        for text in (seen, acted):
            assert "Keys of report:*" in text
            assert "Removed, at most 50 a second, kept in the vault." in text
            assert "At 03:00 every day, UTC" in text
            assert "Reason: nightly" in text
        assert "/removal" not in seen
        assert "/disabling" in acted
        assert "/removal" in acted

    def test_schedules_of_other_caches_do_not_stand_here(self, viewer: FlaskClient, store: Store) -> None:
        _add(store, "live", pattern="elsewhere:*")
        assert "elsewhere" not in viewer.get(PATH).text

    def test_it_says_why_nothing_came_of_one(self, viewer: FlaskClient, store: Store) -> None:
        made = _add(store, cron="", at=1.0)
        schedules.take(store, made, time.time(), None, "Not done: it was due long ago.")
        text = viewer.get(PATH).text
        assert "not done" in text
        assert "Not done: it was due long ago." in text
        assert "over" in text

    def test_a_schedule_that_this_version_cannot_read_is_listed_all_the_same(
        self, operator: FlaskClient, store: Store
    ) -> None:
        made = _add(store, mode="by magic", pattern="a:*")
        schedules.create(store, Draft("main", {"pattern": "b:*"}, "not cron", time.time() + DAY, "otto", "::1", ""))
        text = operator.get(PATH).text
        assert "Keys that this version of Cachedeck cannot select" in text
        assert "not cron" in text
        assert post(operator, f"{PATH}/{made.id}/removal").status_code == 303

    def test_what_people_have_typed_is_shown_as_text(self, operator: FlaskClient, store: Store) -> None:
        _add(store, pattern="<script>alert(1)</script>:*")
        assert "<script>alert" not in operator.get(PATH).text


class TestForm:
    def test_it_takes_over_the_keys_and_the_way_of_the_address(self, operator: FlaskClient) -> None:
        text = operator.get(f"{PATH}/new?pattern=api:*&type=hash&mode=paced&rate=77").text
        assert 'value="api:*"' in text
        assert '<option value="hash" selected>' in text
        assert 'value="77"' in text
        assert 'value="paced" checked' in text

    def test_an_address_without_keys_selects_none(self, operator: FlaskClient) -> None:
        assert 'name="pattern" type="text" value=""' in operator.get(f"{PATH}/new").text

    def test_it_tells_the_next_times_while_one_types(self, operator: FlaskClient) -> None:
        answer = operator.get(f"{PATH}/times?cron=0+3+*+*+*", headers=by_htmx(operator))
        assert "At 03:00 every day, UTC." in answer.text
        assert answer.text.count("<time") == 3
        wrong = operator.get(f"{PATH}/times?cron=0+3", headers=by_htmx(operator)).text
        assert "Write five fields" in wrong
        assert operator.get(f"{PATH}/times?cron=0+3+*+*+*").status_code == 303

    def test_it_says_when_the_vault_is_turned_off(self, make_app: Any, settings: Settings) -> None:
        from dashboard.store.operators import Role
        from tests.views.conftest import signed_in_client

        client = signed_in_client(make_app(settings.model_copy(update={"vault_mb": 0})), Role.OPERATOR)
        assert "The vault is turned off" in client.get(f"{PATH}/new").text


class TestAdd:
    def test_it_adds_a_repeated_one(self, operator: FlaskClient, store: Store) -> None:
        answer = post(operator, PATH, FORM)
        assert (answer.status_code, answer.location) == (303, PATH)
        made = _only(store)
        assert made.task == {"pattern": "report:*", "mode": "gently", "seconds": "300"}
        assert (made.cron, made.enabled, made.actor, made.reason) == ("0 3 * * *", True, "otto", "made anew at night")
        assert made.next_at is not None
        assert made.next_at % DAY == 3 * 3600
        assert 0 < made.next_at - time.time() <= DAY

    def test_it_adds_one_for_once_in_utc(self, operator: FlaskClient, store: Store) -> None:
        at = time.time() // 60 * 60 + 3600
        written = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(at))
        post(operator, PATH, FORM | {"when": "once", "at": written, "mode": "now", "tell": "yes", "channel": "news"})
        made = _only(store)
        assert (made.cron, made.next_at) == ("", at)
        assert made.task == {"pattern": "report:*", "mode": "now", "channel": "news", "per": "batch"}

    def test_without_the_vault_is_said(self, operator: FlaskClient, store: Store) -> None:
        post(operator, PATH, {name: value for name, value in FORM.items() if name != "vault"})
        assert _only(store).task["vault"] == "no"

    def test_it_is_audited(self, operator: FlaskClient, store: Store) -> None:
        post(operator, PATH, FORM)
        entry = _last(store, "schedule.add")
        assert (entry.actor, entry.cache, entry.status, entry.reason) == ("otto", "main", "done", "made anew at night")
        assert entry.subject == "keys of report:*, made to expire, spread over 5\u202fmin"
        assert entry.after == {"schedule": _only(store).id, "when": "0 3 * * *"}

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"pattern": ""}, "Every key is *, typed out."),
            ({"pattern": "*"}, "type * to say that you mean it"),
            ({"pattern": "**"}, "type * to say that you mean it"),
            ({"pattern": "*" * 3 + "a*" * 20}, "pattern"),
            ({"cron": "0 3 * *"}, "Write five fields"),
            ({"cron": "0 0 30 2 *"}, "no cron expression"),
            ({"cron": ""}, "Write five fields"),
            ({"when": "once", "at": "tomorrow"}, "Write a time such as"),
            ({"when": "once", "at": "2001-01-01T00:00"}, "This time is over"),
            ({"when": "once", "at": "9999-12-31T23:59"}, "more than five years away"),
            ({"when": "once", "at": "0001-01-01T00:00+23:00"}, "This time is over"),
            ({"window": "soon"}, "Write a time such as 90"),
            ({"mode": "quickly"}, "Choose how the keys are to go"),
            ({"tell": "yes", "channel": ""}, "A channel"),
            ({"type": "no type at all!"}, "not the name of a type"),
        ],
    )
    def test_what_says_nothing_sensible_is_refused_in_a_sentence_with_the_form(
        self, fields: dict[str, str], sentence: str, operator: FlaskClient, store: Store
    ) -> None:
        answer = post(operator, PATH, FORM | fields)
        assert answer.status_code == 422
        assert sentence in answer.text
        assert "Nothing was scheduled." in answer.text
        assert "made anew at night" in answer.text  # what was typed stays
        assert schedules.of_cache(store, "main") == []

    def test_every_key_is_scheduled_when_that_is_typed_once_more(self, operator: FlaskClient, store: Store) -> None:
        assert post(operator, PATH, FORM | {"pattern": "*", "everything": "*"}).status_code == 303
        assert _only(store).task["pattern"] == "*"

    def test_filters_alone_select_among_all_keys(self, operator: FlaskClient, store: Store) -> None:
        assert post(operator, PATH, FORM | {"pattern": "", "ttl": "none"}).status_code == 303
        assert _only(store).task["ttl"] == "none"

    def test_a_viewer_may_not(self, viewer: FlaskClient, store: Store) -> None:
        assert post(viewer, PATH, FORM).status_code == 403
        assert viewer.get(f"{PATH}/new").status_code == 403
        assert schedules.of_cache(store, "main") == []

    def test_production_wants_its_name_typed(self, operator: FlaskClient, store: Store) -> None:
        path = "/caches/live/schedules"
        assert "Type live to go on" in operator.get(f"{path}/new").text
        assert post(operator, path, FORM).status_code == 400
        assert schedules.of_cache(store, "live") == []
        assert post(operator, path, FORM | {"typed": "live"}).status_code == 303
        assert len(schedules.of_cache(store, "live")) == 1

    def test_nothing_is_scheduled_for_a_cache_that_is_read_only(self, operator: FlaskClient, store: Store) -> None:
        path = "/caches/frozen/schedules"
        assert "read-only" in operator.get(f"{path}/new").text
        assert post(operator, path, FORM).status_code == 409
        assert schedules.of_cache(store, "frozen") == []

    def test_there_is_a_most(self, operator: FlaskClient, store: Store) -> None:
        for _ in range(MOST):
            _add(store)
        answer = post(operator, PATH, FORM)
        assert answer.status_code == 409
        assert f"at most {MOST} schedules" in answer.text
        assert _last(store, "schedule.add").status == "failed"
        assert "Add schedule" not in operator.get(PATH).text


class TestChange:
    def test_it_is_disabled_and_enabled_again_from_now_on(self, operator: FlaskClient, store: Store) -> None:
        made = _add(store, at=1.0)  # missed while it was disabled: that is not made up for
        assert post(operator, f"{PATH}/{made.id}/disabling").status_code == 303
        assert _get(store, made).enabled is False
        assert "disabled" in operator.get(PATH).text
        assert post(operator, f"{PATH}/{made.id}/enabling").status_code == 303
        after = _get(store, made)
        assert after.enabled is True
        assert after.next_at is not None
        assert after.next_at > time.time()

    def test_each_is_audited(self, operator: FlaskClient, store: Store) -> None:
        made = _add(store)
        post(operator, f"{PATH}/{made.id}/disabling")
        post(operator, f"{PATH}/{made.id}/enabling")
        post(operator, f"{PATH}/{made.id}/removal", {"reason": "4711"})
        for action, before, after in (("disable", True, False), ("enable", False, True)):
            entry = _last(store, f"schedule.{action}")
            assert (entry.before["enabled"], entry.after["enabled"]) == (before, after)
            assert entry.subject == f"schedule {made.id}: keys of report:*, removed at once"
        gone = _last(store, "schedule.remove")
        assert (gone.after, gone.reason) == ({"removed": True}, "4711")

    def test_it_is_removed(self, operator: FlaskClient, store: Store) -> None:
        made = _add(store)
        assert post(operator, f"{PATH}/{made.id}/removal").status_code == 303
        assert schedules.get(store, made.id) is None
        assert post(operator, f"{PATH}/{made.id}/removal").status_code == 404

    def test_what_is_over_is_not_enabled_again(self, operator: FlaskClient, store: Store) -> None:
        made = _add(store, cron="", at=time.time() - 5)
        schedules.disable(store, made.id)
        assert "/enabling" not in operator.get(PATH).text
        answer = post(operator, f"{PATH}/{made.id}/enabling")
        assert answer.status_code == 409
        assert "Its time is over" in answer.text

    def test_one_for_once_keeps_its_time(self, operator: FlaskClient, store: Store) -> None:
        made = _add(store, cron="")
        schedules.disable(store, made.id)
        assert post(operator, f"{PATH}/{made.id}/enabling").status_code == 303
        assert _get(store, made).next_at == made.next_at

    @pytest.mark.parametrize("act", ["enabling", "disabling", "removal"])
    def test_a_viewer_may_not(self, act: str, viewer: FlaskClient, store: Store) -> None:
        made = _add(store)
        assert post(viewer, f"{PATH}/{made.id}/{act}").status_code == 403
        assert _get(store, made) == made

    @pytest.mark.parametrize("act", ["enabling", "disabling", "removal"])
    def test_those_of_other_caches_do_not_exist_here(self, act: str, operator: FlaskClient, store: Store) -> None:
        made = _add(store, "live")
        assert post(operator, f"{PATH}/{made.id}/{act}").status_code == 404
        assert _get(store, made) == made

    def test_production_wants_its_name_typed_to_enable_but_not_to_disable(
        self, operator: FlaskClient, store: Store
    ) -> None:
        made, path = _add(store, "live"), "/caches/live/schedules"
        assert post(operator, f"{path}/{made.id}/disabling").status_code == 303
        assert post(operator, f"{path}/{made.id}/enabling").status_code == 400
        assert _get(store, made).enabled is False
        assert post(operator, f"{path}/{made.id}/enabling", {"typed": "live"}).status_code == 303
        assert _get(store, made).enabled is True

    def test_a_read_only_cache_s_schedules_can_be_disabled_only(self, operator: FlaskClient, store: Store) -> None:
        made, path = _add(store, "frozen"), "/caches/frozen/schedules"
        assert post(operator, f"{path}/{made.id}/disabling").status_code == 303
        assert post(operator, f"{path}/{made.id}/enabling").status_code == 409
        assert _get(store, made).enabled is False
