"""Every screen there is, each in the states that look different: for what must hold on all of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from playwright.sync_api import Page, expect

from dashboard.cache.notifications.primary_listener import Gap
from dashboard.cache.selecting.key_token import printable, to_token
from dashboard.cache.selecting.selection import Selection
from dashboard.store import audit
from dashboard.store.audit import Change
from dashboard.store.engine import open_store
from dashboard.store.operators import Role
from tests.browser.keyspace import SHOWN
from tests.browser.site import Site
from tests.jobs.furnished import furnish_jobs, furnish_schedules, furnish_settings
from tests.kept import MEASURED, PUBLISHED, SAVES, WATCHED, keep_publication, keep_saving, keep_trace, keep_watch
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


def _token(page: Page) -> None:
    dialog("Add token")(page)
    page.get_by_label("Name", exact=True).fill(f"made at {time.time():.6f}")
    page.get_by_label("Patterns that it may name").fill("api:search:*\ntmp:?")
    page.get_by_role("dialog").get_by_role("button", name="Add token").click()
    expect(page.locator("#secret")).to_contain_text("cdk_")


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
    page.get_by_label("Name", exact=True).fill("otto")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _first_job(page: Page) -> None:
    page.locator("tbody tr [data-row-link]").first.click()
    expect(page.locator("#job .facts")).to_be_visible()


def _first_change(page: Page) -> None:
    page.locator("tbody tr [data-row-link]").first.click()
    expect(page.get_by_role("button", name="Roll back…")).to_be_visible()


def _roll_back(page: Page) -> None:
    _first_change(page)
    dialog("Roll back…")(page)


def _first_trial(page: Page) -> None:
    page.locator("tbody a[href*=trials]").first.click()
    expect(page.get_by_role("heading", name="Before and during")).to_be_visible()


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


def _bad_plan(page: Page) -> None:
    page.get_by_role("button", name="Make a plan", exact=True).click()
    expect(page.locator("#form-error")).to_be_visible()


def _invalidation_plan(page: Page) -> None:
    page.get_by_role("button", name="Make a plan", exact=True).click()
    expect(page.locator("#how")).to_be_visible()
    page.get_by_label("Tell the applications").check()


def _gently(page: Page) -> None:
    _invalidation_plan(page)
    page.get_by_role("radio", name="Gently").check()
    page.get_by_role("textbox", name="Spread over").fill("2h")
    page.get_by_role("button", name="Expire").click()
    expect(page.get_by_role("button", name="Bring back")).to_be_visible()


def _undone(page: Page) -> None:
    _invalidation_plan(page)
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Bring back").click()
    expect(page.locator("#invalidation").get_by_text("undone", exact=True)).to_be_visible()


def _ticked_dialog(page: Page) -> None:
    page.locator("#key-rows input").first.check()
    dialog("Remove…")(page)


def _regret(page: Page) -> None:
    page.locator("tbody a").first.click()
    expect(page.locator("#trace .columns")).to_be_visible()


def _stampedes(page: Page) -> None:
    page.locator("tbody a").first.click()
    expect(page.locator("#absent")).to_be_visible()


def _saving(page: Page) -> None:
    page.get_by_role("link", name="Result").first.click()
    expect(page.locator("#saving table")).to_be_visible()


def _key(name: bytes, cache: str = "main") -> str:
    return f"/caches/{cache}/keys/{to_token(name)}"


LONG = b"x" * 10_000
_TREE = "#namespaces li"
_CHARTS = "figure[data-chart=clients] canvas"
_LAB = "figure[data-chart=errors] canvas"


def _bad_schedule(page: Page) -> None:
    page.get_by_label("Cron expression, in UTC").fill("now and then")
    page.get_by_role("button", name="Add schedule").click()
    expect(page.locator("#form-error")).to_be_visible()


def _no_channel(page: Page) -> None:
    page.get_by_role("checkbox", name="x: Expired keys").check()
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator("#form-error")).to_contain_text("Nothing would be told")


def _no_tag(page: Page) -> None:
    page.get_by_role("radio", name="Tags").check()
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#form-error")).to_contain_text("Write at least one")


def _message(page: Page) -> None:
    page.locator("table.messages a").first.click()
    expect(page.locator("table.acks")).to_be_visible()


def _compare(page: Page) -> None:
    compare = page.get_by_role("button", name="Compare 4 patterns")
    if compare.count():  # at the second width it runs already
        compare.click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()


def _visitors(page: Page) -> None:
    page.locator(".lab-visitors summary").click()
    expect(page.get_by_label("Skew (Zipf)")).to_be_visible()


SCREENS: dict[str, Screen] = {
    "login": Screen("/login", role=None),
    "login refused": Screen("/login", role=None, status=401, act=_refused),
    "overview": Screen("/caches/main/", _CHARTS),
    "a finding's rule": Screen("/caches/main/silences/no-maxmemory", "form select"),
    "overview of a cluster": Screen("/caches/shards/", _CHARTS),
    "overview of production": Screen("/caches/live/", _CHARTS),
    "overview of a server that is down": Screen("/caches/down/", "#live .finding-critical"),
    "statistics": Screen("/caches/main/statistics", _CHARTS),
    "statistics of a cluster over a week": Screen("/caches/shards/statistics?minutes=10080", _CHARTS),
    "statistics of a server that is down": Screen("/caches/down/statistics", "main"),
    "slow log": Screen("/caches/main/statistics/slow-log", "main"),
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
    "tokens": Screen("/tokens", "tbody tr"),
    "dialog, add token": Screen("/tokens", act=dialog("Add token")),
    "dialog, revoke token": Screen("/tokens", act=dialog("Revoke deploy")),
    "token, shown once": Screen("/tokens", act=_token),
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
    "eviction": Screen("/caches/main/eviction", "#evidence .panel"),
    "eviction of a cluster, for a viewer": Screen("/caches/shards/eviction", "#evidence .panel", role=Role.VIEWER),
    "eviction of a read-only cache": Screen("/caches/frozen/eviction", ".eviction-denied"),
    "eviction of a server that is down": Screen("/caches/down/eviction", ".alert"),
    "eviction, form with mistakes": Screen("/caches/main/setting-previews?maxmemory=10eb", "#form-error", status=422),
    "preview of a change of production": Screen(
        "/caches/live/setting-previews?maxmemory=3gb&maxmemory-samples=7&act=try", ".way-try"
    ),
    "history of settings": Screen("/caches/hostile/setting-changes", "tbody tr"),
    "history of settings, nothing yet": Screen("/caches/down/setting-changes", ".empty"),
    "change, partly applied": Screen("/caches/hostile/setting-changes", "tbody tr", act=_first_change),
    "dialog, roll back": Screen("/caches/hostile/setting-changes", "tbody tr", act=_roll_back),
    "trial, gone back": Screen("/caches/hostile/setting-changes", "tbody tr", act=_first_trial),
    "evidence of eviction": Screen("/caches/main/eviction/evidence", ".panel"),
    "regret, form of production": Screen("/caches/live/eviction-traces", "form.panel"),
    "regret, for a viewer": Screen("/caches/down/eviction-traces", ".empty", role=Role.VIEWER),
    "regret": Screen("/caches/main/eviction-traces", "tbody tr", act=_regret),
    "events, before one listens": Screen("/caches/main/events", ".event-starts", role=Role.VIEWER),
    "events, the console": Screen("/caches/main/events?pattern=*&event=expired", ".badge-ok[data-event-state]"),
    "events of a server that is down": Screen("/caches/down/events?channel=inv", "#event-meter .alert"),
    "listeners": Screen("/caches/main/listeners", "#clients-title"),
    "listeners of a cluster": Screen("/caches/shards/listeners?replicas=yes", "#clients-title", role=Role.OPERATOR),
    "listeners of a server that is down": Screen("/caches/down/listeners", ".alert"),
    "notifications, form of production": Screen("/caches/live/notifications?flags=KExem", "#flag-table"),
    "notifications, for a viewer": Screen("/caches/main/notifications", "#flag-table", role=Role.VIEWER),
    "notifications of a read-only cache": Screen("/caches/frozen/notifications", "#why-not"),
    "notifications, form with mistakes": Screen("/caches/main/notifications", status=422, act=_no_channel),
    "stampedes, form": Screen("/caches/main/stampedes", "form.panel"),
    "stampedes, form of production": Screen("/caches/live/stampedes", "form.panel"),
    "stampedes of a read-only cache": Screen("/caches/frozen/stampedes", ".alert"),
    "stampedes, for a viewer": Screen("/caches/down/stampedes", ".empty", role=Role.VIEWER),
    "stampedes of a server that is down": Screen("/caches/down/stampedes", ".alert"),
    "stampedes": Screen("/caches/main/stampedes", "tbody tr", act=_stampedes),
    "publish": Screen("/caches/main/messages/new?keys=api:user:1%0Aapi:user:2", "table.messages"),
    "publish, raw text to a cluster": Screen("/caches/shards/messages/new?text=hello&sharded=yes", "#audience li"),
    "publish, form with mistakes": Screen("/caches/main/messages/new", status=422, act=_no_tag),
    "publish, on a read-only cache": Screen("/caches/frozen/messages/new", ".alert"),
    "publish, on production": Screen("/caches/live/messages/new?pattern=api:*", "#audience li"),
    "publish, on a server that is down": Screen("/caches/down/messages/new", ".alert"),
    "message, acknowledged": Screen("/caches/main/messages/new", "table.messages", act=_message),
    "lab": Screen("/lab", _LAB, act=_visitors),
    "lab, for a viewer": Screen("/lab", _LAB, role=Role.VIEWER),
    "lab, while patterns are compared": Screen("/lab", _LAB, role=Role.OPERATOR, act=_compare),
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
    "keys, some ticked": Screen("/caches/live/keys", _TREE, act=_ticked_dialog),
    "export, form": Screen("/caches/main/exports/new?pattern=api:*&ttl=none"),
    "invalidate": Screen("/caches/main/invalidations?pattern=shop:*&ttl=none", "#invalidation-list"),
    "invalidate, form with mistakes": Screen("/caches/main/invalidations", status=422, act=_bad_plan),
    "invalidate, nothing yet": Screen("/caches/down/invalidations", ".empty"),
    "invalidate, of a read-only cache": Screen("/caches/frozen/invalidations", "#invalidation-list"),
    "invalidate, plan of every key of production": Screen(
        "/caches/live/invalidations?pattern=*", act=_invalidation_plan
    ),
    "invalidate, done gently": Screen("/caches/main/invalidations?pattern=plan:gently:*", act=_gently),
    "invalidate, undone": Screen("/caches/main/invalidations?pattern=plan:undone:*", act=_undone),
    "schedules": Screen("/caches/main/schedules", "tbody tr"),
    "schedules, for a viewer": Screen("/caches/main/schedules", "tbody tr", role=Role.VIEWER),
    "schedules, none exists": Screen("/caches/empty/schedules", ".empty"),
    "schedules, form": Screen("/caches/live/schedules/new?pattern=api:*&mode=gently&seconds=60", role=Role.OPERATOR),
    "schedules, form with mistakes": Screen("/caches/main/schedules/new?pattern=*", status=422, act=_bad_schedule),
    "dialog, remove a schedule": Screen("/caches/main/schedules", act=dialog("Remove schedule")),
    "problem": Screen("/caches/nothing-of-that-name/", ".alert", status=404),
    "not for this role": Screen("/operators", ".alert", role=Role.VIEWER, status=403),
}


def furnish(site: Site) -> None:
    """What some screens show: hostile keys, and changes that were done, that failed and that were never completed."""
    with site.client("main") as client:
        for number in range(300):
            client.set(f"plan:gently:{number}", "v" * 100)
            client.set(f"plan:undone:{number}", "v" * 100, ex=3000 + number)
    with site.client("hostile") as client:
        for name in (b"<b>bold</b>", b"\xff\xfe\x00", b"", LONG, "user:\u202egnp.exe".encode()):
            client.set(name, b"value", ex=3600)
    site.bench.finish()
    site.bench.scenario = {"name": "outage", "sentence": "", "since": time.time(), "ends": time.time() + 30}
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
        keep_publication(store, PUBLISHED)
        keep_trace(store, replace(MEASURED, gaps=(Gap("10.0.0.3:6379", 12.0, 3.0, "It cannot be reached."),)))
        keep_watch(store, replace(WATCHED, gaps=(Gap("10.0.0.3:6379", 12.0, 3.0, "It cannot be reached."),)))
        furnish_jobs(store, "frozen")
        furnish_settings(store, "hostile")
        furnish_schedules(store, "main")
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
