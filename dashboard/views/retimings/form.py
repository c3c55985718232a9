"""The form of a retiming: which keys, and what with their TTLs, as people type it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.cache.retiming.change import LONGEST, BadChange, Change, Direction, IntoRange, Jitter
from dashboard.views.bad_field import BadField
from dashboard.views.duration_input import BadDuration, parse_duration, with_units

DEFAULT_JITTER = "5m"
DIRECTIONS: tuple[tuple[Direction, str], ...] = (
    ("both", "earlier or later"),
    ("earlier", "only earlier: no key lives longer than now"),
    ("later", "only later: no key dies sooner than now"),
)


@dataclass(frozen=True)
class Typed:
    """What stands in the form's fields. how: "jitter" or "range"."""

    how: str = "jitter"
    jitter: str = DEFAULT_JITTER
    direction: str = "both"
    low: str = ""
    high: str = ""


def typed(fields: Mapping[str, str]) -> Typed:
    """The fields of a form, or of the address that leads to it: a range where it names one.

    An address has plain seconds, which are filled in as the hints beside the fields write them.
    """
    low, high = (fields.get(name, "").strip() for name in ("low", "high"))
    how = fields.get("how") or ("range" if low or high else "jitter")
    jitter = fields.get("jitter", "").strip() or ("" if "how" in fields else DEFAULT_JITTER)
    if "how" not in fields:
        jitter, low, high = (with_units(text) for text in (jitter, low, high))
    return Typed("range" if how == "range" else "jitter", jitter, fields.get("direction", "both"), low, high)


def change_of(form: Typed) -> Change:
    """The change that the form asks for. Raises BadField."""
    if form.how == "range":
        low, high = _seconds("low", form.low), _seconds("high", form.high)
        try:
            return IntoRange(low, high)
        except BadChange as error:
            raise BadField("high", str(error)) from None
    share = form.jitter.endswith("%")
    try:
        amount = float(form.jitter[:-1]) if share else _seconds("jitter", form.jitter)
        return Jitter(amount, "%" if share else "s", form.direction)  # type: ignore[arg-type]  # checked there
    except BadField:
        raise
    except ValueError as error:
        sentence = str(error) if isinstance(error, BadChange) else "Write a share such as 10%."
        raise BadField("jitter", sentence) from None


def _seconds(name: str, text: str) -> float:
    try:
        return parse_duration(text, least=1, most=LONGEST)
    except BadDuration as error:
        raise BadField(name, str(error)) from None
