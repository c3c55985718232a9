"""The form on a plan's page: how it is to be done, with or without an undo, and whom to tell, as people type it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dashboard.cache.invalidation.mode import (
    LONGEST,
    USUAL_GRACE,
    USUAL_RATE,
    USUAL_WINDOW,
    BadMode,
    Gently,
    Mode,
    Now,
    Paced,
    Stale,
)
from dashboard.cache.invalidation.task import BadTell, Task, Tell
from dashboard.views.bad_field import BadField
from dashboard.views.duration_input import BadDuration, parse_duration, typed_duration

MODES = ("now", "gently", "paced", "stale")
USUAL_CHANNEL = "invalidate"
PER_CHOICES = (("batch", "one message a batch"), ("key", "one message a key"), ("pattern", "one message in all"))
FIELDS = ("mode", "window", "grace", "rate", "vault", "tell", "channel", "per")
"""The fields that say how; one of them in a request means that the form was sent."""


@dataclass(frozen=True)
class Typed:
    """What stands in the form's fields. window, grace: times as they are typed; rate: keys a second."""

    mode: str = "now"
    window: str = typed_duration(USUAL_WINDOW)
    grace: str = typed_duration(USUAL_GRACE)
    rate: str = f"{USUAL_RATE:g}"
    vault: bool = True
    tell: bool = False
    channel: str = USUAL_CHANNEL
    per: str = "batch"


def typed(fields: Mapping[str, str]) -> Typed:
    """The fields as they were sent; a box that is not ticked is not sent at all."""
    usual = Typed()
    return Typed(
        fields.get("mode", "now"),
        fields.get("window", usual.window).strip(),
        fields.get("grace", usual.grace).strip(),
        fields.get("rate", usual.rate).strip(),
        fields.get("vault", "") == "yes",
        fields.get("tell", "") == "yes",
        fields.get("channel", usual.channel).strip(),
        fields.get("per", usual.per),
    )


def of_task(task: Task) -> Typed:
    """The fields that say what a task says."""
    mode, form = task.mode, Typed(task.mode.name, vault=task.vault)
    if isinstance(mode, Gently):
        form = replace(form, window=typed_duration(mode.seconds))
    elif isinstance(mode, Stale):
        form = replace(form, grace=typed_duration(mode.seconds))
    elif isinstance(mode, Paced):
        form = replace(form, rate=f"{mode.rate:.10g}")
    return replace(form, tell=True, channel=task.tell.channel, per=task.tell.per) if task.tell else form


def task_of(form: Typed, task: Task) -> Task:
    """The task with the same keys, done as the form says. Raises BadField."""
    return Task(task.selection, mode_of(form), form.vault, _tell(form))


def mode_of(form: Typed, name: str = "") -> Mode:
    """The mode that is chosen, or another one with what stands beside it. Raises BadField."""
    name = name or form.mode
    try:
        if name == "now":
            return Now()
        if name == "gently":
            return Gently(_seconds("window", form.window))
        if name == "stale":
            return Stale(_seconds("grace", form.grace))
        if name == "paced":
            return Paced(float(form.rate.replace("\u202f", "").replace(" ", "")))
    except BadField:
        raise
    except ValueError as error:
        field = {"gently": "window", "stale": "grace", "paced": "rate"}[name]
        raise BadField(field, str(error) if isinstance(error, BadMode) else "Write keys a second: 500.") from None
    raise BadField("mode", "Choose how the keys are to go: now, gently, paced, or by marking them stale.")


def _seconds(name: str, text: str) -> float:
    try:
        return parse_duration(text, least=0.1, most=LONGEST)
    except BadDuration as error:
        raise BadField(name, str(error)) from None


def _tell(form: Typed) -> Tell | None:
    if not form.tell:
        return None
    try:
        return Tell(form.channel, form.per)
    except BadTell as error:
        raise BadField("channel", str(error)) from None
