"""Changes of settings: the history of them, what came of each on every node, and taking one back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.setting import shown
from dashboard.cache.tuning import node_settings
from dashboard.jobs import tuning
from dashboard.jobs.asking import Caller
from dashboard.jobs.tuning_refused import NoSuchChange
from dashboard.store import setting_changes, trials
from dashboard.store.operators import Role
from dashboard.store.setting_changes import SettingChange
from dashboard.store.trials import Trial
from dashboard.views.access import address, current_cache, current_operator, reason, requires
from dashboard.views.deck import deck
from dashboard.views.eviction import setting_words
from dashboard.views.eviction.eviction import apart
from dashboard.views.eviction.preview_page import ASKED_AGAIN, asked_again, replicas_of, returns_to, wanted_of
from dashboard.views.job_start import require_typed
from dashboard.views.render import Problem, of_cache_error, page

blueprint = Blueprint("setting_changes", __name__, url_prefix="/caches/<cache>/setting-changes")

PAGE = 50
_TRIALS = 200  # more than a page of changes can belong to


@dataclass(frozen=True)
class Line:
    """One change in the list. trial: the trial that it belongs to."""

    change: SettingChange
    kind: str
    word: str
    level: str
    said: str
    where: str
    trial: Trial | None


@blueprint.get("")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """The history, the newest first; `before` is the number above which the page ends."""
    name = current_cache().name
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 2**63:
        before = None
    found = setting_changes.of_cache(deck().store, name, PAGE + 1, before)
    lines = [_line(one, _trials_by_change(name)) for one in found[:PAGE]]
    older = found[PAGE - 1].number if len(found) > PAGE else None
    return page(
        "setting_changes/index.html", screen="eviction", tab="history", lines=lines, older=older, first=before is None
    )


@blueprint.get("/<int:number>")
@requires(Role.VIEWER)
def show(cache: str, number: int) -> ResponseReturnValue:
    """One change: each node's part, and what can be done about it."""
    return page("setting_changes/page.html", screen="eviction", tab="history", **_context(change_of(number)))


@blueprint.post("")
@requires(Role.ADMIN)
def create(cache: str) -> ResponseReturnValue:
    """Make a change that was seen in its preview."""
    require_typed(current_cache(), "settings")
    sent = request.form.to_dict()
    number = returns_to(sent)
    try:
        done = tuning.apply(
            deck().store,
            deck().settings,
            current_cache(),
            wanted_of(sent),
            caller(),
            reason(),
            replicas=replicas_of(sent),
            fingerprint=sent.get("fingerprint", ""),
            confirmed=sent.get("confirmed", "") == "yes",
            kind="return" if number is not None else "change",
            takes_back=number,
        )
    except ASKED_AGAIN as why:
        return asked_again(sent, why)
    return _to(done)


@blueprint.post("/<int:number>/rollback")
@requires(Role.ADMIN)
def roll_back(cache: str, number: int) -> ResponseReturnValue:
    """Give every node that took a change what it had before."""
    change_of(number)
    require_typed(current_cache(), "settings")
    return _to(tuning.roll_back(deck().store, current_cache(), number, caller(), reason()))


def change_of(number: int) -> SettingChange:
    """A change of the URL's cache; 404 for none."""
    try:
        return tuning.change_of(deck().store, current_cache(), number)
    except NoSuchChange as missing:
        abort(404, missing.sentence)


def caller() -> Caller:
    """The operator of this request, in whose name settings are changed."""
    return Caller(current_operator().name, address(), "page")


def _to(change: SettingChange) -> ResponseReturnValue:
    return redirect(url_for("setting_changes.show", cache=change.cache, number=change.number), 303)


def _context(change: SettingChange) -> dict[str, Any]:
    word, level = setting_words.CHANGE_STATES[change.state]
    back = wanted_of(tuning.state_before(deck().store, current_cache(), change.number))
    return {
        "change": change,
        "line": _line(change, _trials_by_change(change.cache)),
        "word": word,
        "level": level,
        "shown": shown,
        "node_states": setting_words.NODE_STATES,
        "rolls_back": bool(change.touched) and change.kind in ("change", "return", "rollback"),
        "state_before": back,
        "state_said": setting_words.set_to(back),
        **_file_context(),
    }


def _file_context() -> dict[str, Any]:
    """What a restart would lose, as far as that can be told."""
    try:
        nodes = node_settings.read(current_cache())
    except CacheError as error:
        return {"apart": {}, "file_problem": of_cache_error(error)}
    silent = [node.problem for node in nodes if not node.values]
    return {"apart": apart(nodes), "file_problem": Problem(silent[0]) if silent else None}


def _line(change: SettingChange, found: Mapping[int, Trial]) -> Line:
    word, level = setting_words.CHANGE_STATES[change.state]
    return Line(
        change,
        setting_words.CHANGE_KINDS[change.kind],
        word,
        level,
        setting_words.in_short(change),
        setting_words.where(change.nodes),
        found.get(change.number),
    )


def _trials_by_change(cache: str) -> dict[int, Trial]:
    """The trial that each change began or ended."""
    return {
        number: one
        for one in trials.of_cache(deck().store, cache, _TRIALS, purpose=None)
        for number in (one.change, one.taken_back)
        if number is not None
    }
