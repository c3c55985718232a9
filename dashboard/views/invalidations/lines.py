"""The list of a cache's invalidations: what each was about, how it stands, and whether it can be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request, url_for

from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import Row
from dashboard.views.deck import deck
from dashboard.views.filters import number as figure
from dashboard.views.invalidations.page import LEVELS, how
from dashboard.views.invalidations.room import use_of

PAGE = 50


@dataclass(frozen=True)
class Line:
    """One invalidation. planned, done: keys; None where there is no such figure. undo_href: "" where nothing can be
    taken back. open: whether something of it goes on."""

    number: int
    href: str
    words: str
    note: str
    state: str
    level: str
    planned: str | None
    done: int | None
    actor: str
    at: float
    undo_href: str
    open: bool


def listed(cache: str) -> dict[str, Any]:
    """A page of them, the newest first, and how full the vault is; `before=<number>` of the URL goes to older ones."""
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 2**63:
        before = None
    found = invalidating.listed(deck().store, deck().settings, cache, PAGE + 1, before)
    lines = [_line(row) for row in found[:PAGE]]
    older = url_for("invalidations.index", cache=cache, before=lines[-1].number) if len(found) > PAGE else ""
    return {
        "lines": lines,
        "older": older,
        "is_first": before is None,
        "here": url_for("invalidations.index", cache=cache, before=before),
        "vault": use_of(deck().settings),
    }


def _line(row: Row) -> Line:
    made, outline = row.invalidation, row.outline
    href = url_for("invalidations.show", cache=made.cache, number=made.number)
    going = row.job is not None and row.job.open
    planned, exact = made.keys, made.keys_low == made.keys_high
    if made.planned_at is None and row.run_job is None:  # the plan goes on, or nobody has acted on it yet
        planned, exact = row.counts.get("found"), row.job is not None and row.job.state == "finished"
    return Line(
        made.number,
        href,
        _first(outline.which) if outline else "Keys that this version of Cachedeck cannot select",
        f"{f'{_first(how(outline))}.' if outline else ''}{f' Reason: {made.reason}' if made.reason else ''}",
        row.state,
        LEVELS[row.state],
        None if planned is None else f"{'' if exact else '≈ '}{figure(round(planned))}",
        row.counts.get("done") if row.run_job else None,
        made.actor,
        made.created_at,
        f"{href}#undo" if row.kept and row.run_job and not going else "",
        going,
    )


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
