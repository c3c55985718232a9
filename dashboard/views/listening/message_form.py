"""The form of a message to the applications: what stands in its fields, and the draft that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.cache.messages.draft import FORMS, BadDraft, Draft
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import BadSelection, lines_of, listed

USUAL_CHANNEL = "invalidate"
USUAL_WAIT = 2
WAITS: tuple[tuple[int, str], ...] = (
    (0, "not at all"),
    (2, "for 2 s"),
    (5, "for 5 s"),
    (10, "for 10 s"),
    (30, "for 30 s"),
)


@dataclass(frozen=True)
class Typed:
    """What stands in the fields, as it was typed. escapes: whether raw text is read as it is printed (`\\xff`)."""

    channel: str = USUAL_CHANNEL
    sharded: bool = False
    form: str = "keys"
    keys: str = ""
    pattern: str = ""
    tags: str = ""
    text: str = ""
    escapes: bool = False
    wait: int = USUAL_WAIT


def typed(fields: Mapping[str, str]) -> Typed:
    """The fields of a form or a query string; a form that says none of the four ways is the one that it fills in."""
    filled = next((name for name in FORMS if fields.get(name)), "keys")
    return Typed(
        channel=fields.get("channel", USUAL_CHANNEL).strip(),
        sharded=fields.get("sharded", "") == "yes",
        form=fields.get("form") or filled,
        keys=fields.get("keys", ""),
        pattern=fields.get("pattern", ""),
        tags=fields.get("tags", ""),
        text=fields.get("text", ""),
        escapes=fields.get("escapes", "") == "yes",
        wait=_wait(fields.get("wait", "")),
    )


def draft_of(form: Typed) -> Draft:
    """What is to be published. Raises BadDraft."""
    if form.form not in FORMS:
        raise BadDraft("form", "Choose what the message is about: keys, a pattern, tags, or raw text.")
    return Draft(
        channel_of(form),
        form.form,
        keys=_listed("keys", form.keys) if form.form == "keys" else (),
        pattern=from_printable(form.pattern),
        tags=_listed("tags", form.tags) if form.form == "tags" else (),
        text=_text(form) if form.form == "text" else b"",
        sharded=form.sharded,
    )


def channel_of(form: Typed) -> bytes:
    return from_printable(form.channel)


def _listed(field: str, text: str) -> tuple[bytes, ...]:
    """One a line, as lists of keys are written everywhere."""
    try:
        return listed(lines_of(text)).keys or ()
    except BadSelection as error:
        missing = "Write at least one, each on a line of its own."
        raise BadDraft(field, str(error) if text.strip() else missing) from None


def _text(form: Typed) -> bytes:
    """Byte for byte, but for the line ends, of which a browser makes CR LF."""
    text = form.text.replace("\r\n", "\n")
    return from_printable(text) if form.escapes else text.encode("utf-8", "surrogatepass")


def _wait(text: str) -> int:
    """One of the offered times, or the usual one."""
    return int(text) if text in {str(seconds) for seconds, _ in WAITS} else USUAL_WAIT
