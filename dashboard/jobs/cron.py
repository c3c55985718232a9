"""Cron expressions of five fields, in UTC: when a schedule is due next. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

LIMIT = 255  # characters
_FIELDS = 5


class BadCron(ValueError):
    """An expression that says nothing sensible; the text is a sentence for the operator."""


def normal(expression: str) -> str:
    """An expression with single spaces. Raises BadCron for what is none, or never comes."""
    written = " ".join(expression.split())
    if len(written) > LIMIT:
        raise BadCron(f"A cron expression has at most {LIMIT} characters.")
    if len(written.split(" ")) != _FIELDS:
        raise BadCron(
            "Write five fields: minute, hour, day of month, month, day of week. 0 3 * * * is 03:00 every day."
        )
    try:
        next(CronSim(written, datetime.now(UTC)))
    except CronSimError as error:
        raise BadCron(f"This is no cron expression: {str(error)[:1].lower()}{str(error)[1:]}.") from None
    except StopIteration:
        raise BadCron("There is no such day.") from None
    return written


def next_after(expression: str, at: float) -> float:
    """When it is due for the first time after an instant, both in seconds since the epoch. Raises BadCron."""
    return next_times(expression, at, 1)[0]


def next_times(expression: str, at: float, count: int) -> list[float]:
    """The next times after an instant. Raises BadCron."""
    times = CronSim(normal(expression), datetime.fromtimestamp(at, UTC))
    return [next(times).timestamp() for _ in range(count)]


def in_words(expression: str) -> str:
    """`At 03:00 every day`. Raises BadCron."""
    return str(CronSim(normal(expression), datetime.now(UTC)).explain())
