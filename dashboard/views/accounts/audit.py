"""The audit trail: who changed what, when and from where, and whether the trail itself is whole."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, abort, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue

from dashboard.store import audit
from dashboard.store.audit import Entry, Filters
from dashboard.store.audit_query import STATUSES, BadFilter, as_typed, from_query, to_query
from dashboard.store.audit_text import as_line, differences
from dashboard.store.operators import Role
from dashboard.views.access import requires
from dashboard.views.accounts.audit_verification import BeingVerified, verifications
from dashboard.views.deck import deck
from dashboard.views.render import fragment, page, wants_fragment

blueprint = Blueprint("audit", __name__)

PAGE = 100
LAST_ID = 2**63  # of a BIGINT: a larger number is none of ours, and some drivers fail on it


@blueprint.get("/audit")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    """The newest entries that the filters of the URL let through; `before=<id>` goes to older ones."""
    try:
        filters = from_query(request.args)
    except BadFilter as error:
        return _page(Filters(), [], str(error), 422)
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < LAST_ID:
        before = None
    found = audit.search(deck().store, filters, before=before, limit=PAGE + 1)
    return _page(filters, found)


@blueprint.get("/audit/verification")
@requires(Role.VIEWER)
def verification() -> ResponseReturnValue:
    """Whether the chain of hashes holds. It reads the whole trail and changes nothing, hence a GET.

    The answer may be a minute old; 503 while the first one is being found.
    """
    try:
        checked = verifications().of(deck().store)
    except BeingVerified as error:
        abort(503, str(error))
    if wants_fragment():
        return fragment("audit/_verification.html", checked=checked)
    return page("audit/verification.html", screen="audit", checked=checked)


@blueprint.get("/audit.jsonl")
@requires(Role.OPERATOR)
def export() -> ResponseReturnValue:
    """The entries that the filters let through as JSON lines, oldest first.

    Not for viewers: reading a page is looking, taking away everybody's actions and addresses is acting.
    """
    try:
        filters = from_query(request.args)
    except BadFilter as error:
        return Response(f"{error}\n", 400, mimetype="text/plain")
    lines = (as_line(entry) for entry in audit.export(deck().store, filters))
    response = Response(stream_with_context(lines), mimetype="application/x-ndjson")
    response.headers["Content-Disposition"] = 'attachment; filename="cachedeck-audit.jsonl"'
    return response


def _page(filters: Filters, found: list[Entry], form_error: str | None = None, status: int = 200) -> Response:
    entries, query = found[:PAGE], to_query(filters)
    older = _address(query | {"before": str(entries[-1].id)}) if len(found) > PAGE else ""
    return page(
        "audit/page.html",
        screen="audit",
        status=status,
        entries=[(entry, list(differences(entry.before, entry.after))) for entry in entries],
        open_entries=sum(entry.status == "open" for entry in entries),
        query=as_typed(request.args) if form_error else query,
        is_first="before" not in request.args,
        statuses=STATUSES,
        older=older,
        form_error=form_error,
    )


def _address(query: dict[str, str]) -> str:
    return f"{url_for('audit.index')}?{urlencode(query)}"
