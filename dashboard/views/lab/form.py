"""What a form of the Lab screen asks to change: only fields that are not as they were drawn.

Each field has a hidden one beside it, `had.<name>`. So a form that was drawn some time ago does not turn back what
somebody else, or a scenario, has turned meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from dashboard.views.bad_field import BadField

LONGEST = 40
_SPACES = str.maketrans("", "", " \u00a0\u202f")


def chosen(form: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Radio buttons and selects that were moved."""
    return {name: form[name][:LONGEST] for name in names if form.get(name) and form[name] != form.get(f"had.{name}")}


def switched(form: Mapping[str, str], names: Iterable[str]) -> dict[str, bool]:
    """Boxes that were ticked or unticked. A box that nobody drew is not in a form, either, so it stays as it is."""
    drawn = {name: form[f"had.{name}"] == "yes" for name in names if f"had.{name}" in form}
    return {name: name in form for name, had in drawn.items() if (name in form) != had}


def typed(form: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, float]:
    """Numbers that were changed, by name; `labels` is what the fields are called. Raises BadField."""
    found = {}
    for name, label in labels.items():
        text = form.get(name, "").strip()
        if text and text != form.get(f"had.{name}", "").strip():
            found[name] = _number(name, label, text)
    return found


def _number(name: str, label: str, text: str) -> float:
    try:
        value = float(text.translate(_SPACES))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadField(name, f"{label} is a number.")
    return value


def shown(value: float | None, factor: float = 1.0) -> str:
    """A number as it stands in a field."""
    return "" if value is None else f"{value * factor:.10g}"
