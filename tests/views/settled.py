"""Caches whose settings are changed by pages: one server under several names, and what tests do with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.settings import Settings
from dashboard.store import setting_changes, trials, workers
from dashboard.store.engine import Store
from dashboard.store.setting_changes import SettingChange
from dashboard.store.trials import Trial
from tests.servers import Server, running
from tests.views.conftest import post

LFU = {"maxmemory-policy": "allkeys-lfu"}
CHANGES = "/caches/main/setting-changes"
TRIALS = "/caches/main/trials"
PREVIEW = "/caches/main/setting-previews"


@contextmanager
def limited(*arguments: str) -> Iterator[Server]:
    """A server of a test's own, with 64 MB and allkeys-lru, on which bob may do what a test leaves him."""
    with running("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", *arguments) as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all")
        yield server


def caches(settings: Settings, server: Server) -> Settings:
    urls = (
        f"main={server.url}",
        f"live={server.url}?environment=production",
        f"seen={server.url}?read_only=yes",
        f"denied=redis://bob:pw@127.0.0.1:{server.port}",
    )
    return settings.model_copy(update={"caches": Settings(caches=" ".join(urls)).caches})  # type: ignore[arg-type]


def value(server: Server, name: str = "maxmemory-policy") -> str:
    with server.client(decode_responses=True) as client:
        return str(client.config_get(name)[name])


def give(server: Server, name: str, to: str) -> None:
    with server.client() as client:
        client.config_set(name, to)


def fingerprint(client: FlaskClient, query: str = "maxmemory-policy=allkeys-lfu", path: str = PREVIEW) -> str:
    """What the preview's forms send along, so that only what was looked at is done."""
    text = client.get(f"{path}?{query}").text
    found = re.search(r'name="fingerprint" value="([0-9a-f]+)"', text)
    assert found, text
    return found[1]


def changed(client: FlaskClient, store: Store, **wanted: str) -> SettingChange:
    """A change that was made as the page makes it."""
    form = {name.replace("_", "-"): text for name, text in wanted.items()} or LFU
    return change_at(store, post(client, CHANGES, form))


def tried(client: FlaskClient, store: Store, **fields: str) -> Trial:
    answer = post(client, TRIALS, {**LFU, "for": "30m", "hit_ratio_points": "2", **fields})
    assert answer.status_code == 303, answer.text
    return trial(store, int(answer.location.rpartition("/")[2]))


def change_at(store: Store, answer: TestResponse) -> SettingChange:
    """The change that a redirect leads to."""
    assert answer.status_code == 303, answer.text
    found = setting_changes.get(store, int(answer.location.rpartition("/")[2]))
    assert found
    return found


def trial(store: Store, number: int) -> Trial:
    found = trials.get(store, number)
    assert found
    return found


def a_worker_lives(store: Store) -> None:
    workers.beat(store, "worker of the tests")
