"""TTL rules: which keys of this cache, or of every one, should live for how long. Every change is audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dashboard.cache.selecting.key_token import from_printable, printable
from dashboard.cache.selecting.ttl_rules import LONGEST, PATTERN_LIMIT, BadRule, Rule
from dashboard.store import ttl_rules
from dashboard.store.operators import Role
from dashboard.store.ttl_rules import EVERY_CACHE, MOST, Draft, PatternTaken, TooManyRules, TtlRule, UnknownRule
from dashboard.views.access import change, current_cache, reason, requires
from dashboard.views.deck import deck
from dashboard.views.duration_input import BadDuration, parse_duration, typed_duration
from dashboard.views.filters import duration
from dashboard.views.render import page

blueprint = Blueprint("ttl_rules", __name__, url_prefix="/caches/<cache>/ttl-rules")

REFUSALS = (PatternTaken, TooManyRules, UnknownRule)
WHY_LIMIT = 300
"""Characters of a rule's reason."""


@dataclass(frozen=True)
class Form:
    """What stands in a form's fields, and what is wrong with them. rule: 0 for a new one."""

    rule: int = 0
    pattern: str = ""
    low: str = ""
    high: str = ""
    why: str = ""
    everywhere: bool = False
    errors: Mapping[str, str] = field(default_factory=dict)


@blueprint.get("")
@requires(Role.VIEWER)
def index(cache: str) -> ResponseReturnValue:
    """All rules that hold for this cache."""
    return _page()


@blueprint.post("")
@requires(Role.OPERATOR)
def create(cache: str) -> ResponseReturnValue:
    """Add a rule. 422 with the form where it says nothing sensible."""
    current_cache()
    form = _typed()
    draft = _draft(form, cache)
    if isinstance(draft, Form):
        return _page(draft, status=422)
    try:
        with change("ttl_rule.add", printable(draft.pattern), reason=reason()) as attempt:
            made = ttl_rules.create(deck().store, draft)
            attempt.done(after=_facts(made))
    except REFUSALS as error:
        return _page(_with(form, f"{error.sentence} {error.advice}".strip()), status=422)
    return _back(cache, f"Added a rule for {printable(made.pattern)}.")


@blueprint.post("/<int:rule>")
@requires(Role.OPERATOR)
def edit(cache: str, rule: int) -> ResponseReturnValue:
    """Let a rule say something else. 422 with the form where it says nothing sensible."""
    before = _rule(rule)
    form = _typed(rule)
    draft = _draft(form, cache)
    if isinstance(draft, Form):
        return _page(draft, status=422)
    try:
        with change("ttl_rule.change", printable(before.pattern), _facts(before), reason()) as attempt:
            after = ttl_rules.change(deck().store, rule, draft)
            attempt.done(after=_facts(after))
    except REFUSALS as error:
        return _page(_with(form, f"{error.sentence} {error.advice}".strip()), status=422)
    return _back(cache, f"Changed the rule for {printable(after.pattern)}.")


@blueprint.post("/<int:rule>/removal")
@requires(Role.OPERATOR)
def remove(cache: str, rule: int) -> ResponseReturnValue:
    """Take a rule away."""
    before = _rule(rule)
    try:
        with change("ttl_rule.remove", printable(before.pattern), _facts(before), reason()) as attempt:
            ttl_rules.remove(deck().store, rule)
            attempt.done(after={"removed": True})
    except UnknownRule as error:
        abort(404, error.sentence)
    return _back(cache, f"Removed the rule for {printable(before.pattern)}.")


def _typed(rule: int = 0) -> Form:
    fields = request.form
    return Form(
        rule,
        fields.get("pattern", "").strip(),
        fields.get("low", "").strip(),
        fields.get("high", "").strip(),
        fields.get("why", "").strip()[:WHY_LIMIT],
        fields.get("scope", "cache") == "every",
    )


def _draft(form: Form, cache: str) -> Draft | Form:
    """The rule that a form describes, or the form with what is wrong."""
    errors: dict[str, str] = {}
    ends = {}
    for name, text in (("low", form.low), ("high", form.high)):
        try:
            ends[name] = parse_duration(text, least=1, most=LONGEST)
        except BadDuration as error:
            errors[name] = str(error)
    try:
        rule = Rule(from_printable(form.pattern), ends.get("low", 1.0), ends.get("high", LONGEST), form.why)
    except BadRule as error:
        errors.setdefault("high" if "range" in str(error) else "pattern", str(error))
    if errors:
        return _with(form, **errors)
    return Draft(EVERY_CACHE if form.everywhere else cache, rule.pattern, rule.low, rule.high, rule.reason)


def _with(form: Form, pattern: str = "", **errors: str) -> Form:
    found = {**({"pattern": pattern} if pattern else {}), **errors}
    return Form(form.rule, form.pattern, form.low, form.high, form.why, form.everywhere, found)


def _page(form: Form | None = None, status: int = 200) -> Response:
    cache = current_cache().name
    rules = ttl_rules.for_cache(deck().store, cache)
    forms = {rule.id: _form_of(rule) for rule in rules}
    new = Form()
    if form is not None and form.rule in forms:
        forms[form.rule] = form
    elif form is not None:
        new = form
    return page(
        "ttl_rules/page.html",
        screen="expiry",
        status=status,
        rules=[(rule, printable(rule.pattern), _keys_query(rule)) for rule in rules],
        forms=forms,
        new=new,
        failed=form,
        most=MOST,
        pattern_limit=PATTERN_LIMIT,
        why_limit=WHY_LIMIT,
    )


def _form_of(rule: TtlRule) -> Form:
    low, high = typed_duration(rule.low), typed_duration(rule.high)
    return Form(rule.id, printable(rule.pattern), low, high, rule.reason, rule.cache == EVERY_CACHE)


def _keys_query(rule: TtlRule) -> dict[str, Any]:
    """The selection of its keys: a rule's pattern knows * only, and the characters that a glob adds are refused."""
    return {"pattern": printable(rule.pattern)}


def _rule(rule_id: int) -> TtlRule:
    """A rule that holds for the URL's cache: those of other caches do not exist here."""
    found = ttl_rules.by_id(deck().store, rule_id)
    if found is None or found.cache not in (EVERY_CACHE, current_cache().name):
        abort(404, "There is no such TTL rule (any more).")
    return found


def _facts(rule: TtlRule) -> dict[str, str]:
    return {
        "pattern": printable(rule.pattern),
        "range": f"{duration(rule.low)} to {duration(rule.high)}",
        "holds for": rule.cache or "every cache",
        "why": rule.reason,
    }


def _back(cache: str, sentence: str) -> ResponseReturnValue:
    flash(sentence, "ok")
    return redirect(url_for("ttl_rules.index", cache=cache), 303)
