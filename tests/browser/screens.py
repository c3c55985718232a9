"""Every screen there is, each in the states that look different: for what must hold on all of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from dashboard.cache.key_token import printable, to_token
from dashboard.cache.selection import Selection
from dashboard.store import audit
from dashboard.store.audit import Change
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.browser.keyspace import SHOWN
from tests.browser.site import Site
from tests.jobs.furnished import furnish_jobs
from tests.kept import SAVES, keep_saving
from tests.snapshots import keep, snapshot

Act = Callable[[Page], None]


@dataclass(frozen=True)
class Screen:
    """`ready` is a selector of what is there when the page has all its parts; `act` brings it into its state."""

    path: str
    ready: str = "main"
    role: Role | None = Role.ADMIN
    status: int = 200
    act: Act | None = None


def dialog(name: str) -> Act:
    def open_it(page: Page) -> None:
        page.get_by_role("button", name=name).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()

    return open_it


def _help(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def _details(page: Page) -> None:
    page.locator("tbody summary").first.click()


def _unfold(page: Page) -> None:
    for summary in page.locator(".analysis-more summary, .forecast summary").all():
        summary.click()
    page.locator("#namespaces-ttl tbody summary").first.click()


def _refused(page: Page) -> None:
    page.get_by_label("Name").fill("otto")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _first_job(page: Page) -> None:
    page.locator("tbody tr [data-row-link]").first.click()
    expect(page.locator("#job .facts")).to_be_visible()


def _bad_retiming(page: Page) -> None:
    page.get_by_role("button", name="Make a dry run").click()
    expect(page.locator("#form-error")).to_be_visible()


def _dry_run(page: Page) -> None:
    page.get_by_role("button", name="Make a dry run").click()
    expect(page.get_by_text("Exact: all")).to_be_visible()


def _dry_run_dialog(page: Page) -> None:
    _dry_run(page)
    page.get_by_role("button", name="Retime").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _saving(page: Page) -> None:
    page.get_by_role("link", name="Result").first.click()
    expect(page.locator("#saving table")).to_be_visible()


def _key(name: bytes, cache: str = "main") -> str:
    return f"/caches/{cache}/keys/{to_token(name)}"


LONG = b"x" * 10_000
_TREE = "#namespaces li"
_CHARTS = "figure[data-chart=clients] canvas"

SCREENS: dict[str, Screen] = {
    "login": Screen("/login", role=None),
    "login refused": Screen("/login", role=None, status=401, act=_refused),
    "overview": Screen("/caches/main/", _CHARTS),
    "overview of a cluster": Screen("/caches/shards/", _CHARTS),
    "overview of production": Screen("/caches/live/", _CHARTS),
    "overview of a server that is down": Screen("/caches/down/", "#live .finding-critical"),
    "keys": Screen("/caches/main/keys?pattern=[egjlqst]*", _TREE),
    "keys of a read-only cache": Screen("/caches/frozen/keys?pattern=api:user:1?", _TREE),
    "keys, more than a page": Screen("/caches/main/keys", "#search-status button"),
    "keys, hostile": Screen("/caches/hostile/keys", _TREE),
    "keys, none matches": Screen("/caches/main/keys?pattern=nothing:*", ".empty"),
    "keys, none exists": Screen("/caches/empty/keys", ".empty"),
    "keys of a server that is down": Screen("/caches/down/keys", ".alert", status=503),
    **{f"key, {kind}": Screen(_key(name), "#value") for kind, name in SHOWN.items()},
    "key, in hexadecimal": Screen(_key(SHOWN["gzip"]) + "?view=hex", "#value pre"),
    "key, long name": Screen(_key(LONG, "hostile"), "#value"),
    "key, missing": Screen(_key(b"never:was"), ".empty", status=404),
    "dialog, set TTL": Screen(_key(SHOWN["json"]), act=dialog("Set TTL…")),
    "dialog, jitter": Screen(_key(SHOWN["json"]), act=dialog("Add jitter…")),
    "dialog, persist": Screen(_key(SHOWN["json"]), act=dialog("Persist…")),
    "dialog, remove on production": Screen(_key(SHOWN["json"], "live"), act=dialog("Remove…")),
    "dialog, keyboard": Screen("/audit", act=_help),
    "dialog, add operator": Screen("/operators", act=dialog("Add operator")),
    "dialog, change operator": Screen("/operators", act=dialog("Change otto")),
    "audit": Screen("/audit", "tbody tr"),
    "audit, details": Screen("/audit", "tbody tr", act=_details),
    "audit, none matches": Screen("/audit?actor=nobody", ".empty"),
    "operators": Screen("/operators", "tbody tr"),
    "expiry": Screen("/caches/main/expiry?pattern=shop:*", "#cliffs .finding-warning"),
    "expiry, estimated and cancelled": Screen("/caches/frozen/expiry?pattern=shop:*", "#forecast"),
    "expiry, its words opened": Screen("/caches/main/expiry?pattern=shop:*", "#cliffs", act=_unfold),
    "expiry, never analysed": Screen("/caches/live/expiry?pattern=never:*", ".empty"),
    "expiry, none matches": Screen("/caches/main/expiry?pattern=nothing:*", ".empty"),
    "memory": Screen("/caches/main/memory?pattern=shop:*", "#namespaces tbody tr"),
    "memory, estimated, without sizes": Screen("/caches/frozen/memory?pattern=shop:*", ".memory-untold"),
    "memory, never analysed": Screen("/caches/live/memory?pattern=never:*", ".empty"),
    "comparison": Screen("/caches/main/comparison?pattern=shop:*", "#namespaces"),
    "comparison, one result only": Screen("/caches/frozen/comparison?pattern=shop:*", ".empty"),
    "saving": Screen("/caches/main/jobs?kind=saving", "tbody tr", act=_saving),
    "account": Screen("/account"),
    "jobs": Screen("/caches/frozen/jobs", "#strip .strip-job"),
    "jobs, one": Screen("/caches/frozen/jobs", "tbody tr", act=_first_job),
    "jobs, none matches": Screen("/caches/frozen/jobs?state=queued", ".empty"),
    "jobs, none exists": Screen("/caches/down/jobs", ".empty"),
    "TTL rules": Screen("/caches/main/ttl-rules", "tbody tr"),
    "TTL rules of production, for a viewer": Screen("/caches/live/ttl-rules", "tbody tr", role=Role.VIEWER),
    "dialog, change a TTL rule": Screen("/caches/main/ttl-rules", act=dialog("Change the rule for sess:*")),
    "dialog, remove a TTL rule": Screen("/caches/main/ttl-rules", act=dialog("Remove the rule for sess:*")),
    "retiming, form": Screen("/caches/main/retimings/new?pattern=api:*&ttl=@1764000000-1764000002&jitter=300"),
    "retiming, form with mistakes": Screen("/caches/main/retimings/new?jitter=soon", status=422, act=_bad_retiming),
    "retiming, dry run": Screen("/caches/live/retimings/new?low=900&high=1800", act=_dry_run),
    "retiming, dry run to be carried out": Screen("/caches/live/retimings/new", act=_dry_run_dialog),
    "problem": Screen("/caches/nothing-of-that-name/", ".alert", status=404),
    "not for this role": Screen("/operators", ".alert", role=Role.VIEWER, status=403),
}


def furnish(site: Site) -> None:
    """What some screens show: hostile keys, and changes that were done, that failed and that were never completed."""
    with site.client("hostile") as client:
        for name in (b"<b>bold</b>", b"\xff\xfe\x00", b"", LONG, "user:\u202egnp.exe".encode()):
            client.set(name, b"value", ex=3600)
    with contextlib.closing(open_store(f"sqlite:///{site.data / 'cachedeck.db'}")) as store:
        started, shop = time.time() - 20, Selection(b"shop:*")
        keep(store, snapshot(0.4, started=started), shop, state="cancelled")
        keep(store, snapshot(started=started), shop)
        lost = {"10.0.0.2:6379": "10.0.0.2:6379 cannot be reached."}
        part = snapshot(
            0.05, started=started, memory=False, missing=("MEMORY USAGE is denied.",), lost=lost, ended=True
        )
        keep(store, part, shop, cache="frozen", state="cancelled")
        keep(store, snapshot(kinds=(), cliff=False, rules=False), Selection(b"nothing:*"))
        keep_saving(store, SAVES)
        furnish_jobs(store, "frozen")
        change = Change(
            "otto", "127.0.0.1", "hostile", "key.ttl", printable(LONG)[:1000], {"ttl_ms": -1}, "made for the tests"
        )
        with audit.record(store, change) as attempt:
            attempt.done(after={"ttl_ms": 3_600_000})
        with contextlib.suppress(RuntimeError), audit.record(store, change):
            raise RuntimeError
        audit.record(store, change).__enter__()


def show(page: Page, screen: Screen) -> None:
    """Wait until the screen is as it stays. The page has been opened at its path."""
    expect(page.locator(screen.ready).first).to_be_visible()
    if page.locator("#health").count():
        expect(page.locator("#health .badge")).to_have_count(1)
    if screen.act:
        screen.act(page)
