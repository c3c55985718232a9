"""What an invalidation would do, does and has done, in sentences for its pages.

Each figure says how sure it is: one that was counted stands alone, an estimate says "about" and has its interval.
"""

from __future__ import annotations

from dashboard.cache.estimate import Estimate
from dashboard.cache.invalidation.mode import Gently, Mode, Now, Paced, Stale
from dashboard.cache.invalidation.report import Counts, Effect, Plan, Undone
from dashboard.cache.wording import percent
from dashboard.views.filters import byte_size, duration, number, short

HARDLY = 0.05  # a second: less would be written as 0.0


def keys(count: float) -> str:
    """`1 key`, `10 212 keys`."""
    return f"{number(round(count))} {'key' if round(count) == 1 else 'keys'}"


def about(count: Estimate) -> str:
    """Keys within a sentence: `10 212 keys` where they were counted, `about 10 200 keys` where not."""
    return f"{'' if count.exact else 'about '}{keys(count.value)}"


def interval(count: Estimate, words: str = "") -> str:
    """The interval in brackets, with a space before it: ` (9 800 to 10 600)`; "" where it has none."""
    low, high = _figure(count.low), _figure(count.high)
    return "" if low == high else f" ({low}{words} to {high}{words})"


def interval_of_bytes(size: Estimate) -> str:
    """The same of bytes: ` (17 MB to 21 MB)`."""
    low, high = byte_size(size.low), byte_size(size.high)
    return "" if low == high else f" ({low} to {high})"


def _figure(value: float) -> str:
    """A figure of an interval or a rate: whole from 10 on, with a decimal below."""
    return number(value, 0 if value >= 10 or value == int(value) else 1)


def act(mode: Mode) -> str:
    """The verb of the button: what happens to the keys."""
    return "Remove" if isinstance(mode, Now | Paced) else "Expire"


def predicted(mode: Mode, plan: Plan) -> str:
    """What this mode would do to the planned keys, and how long it takes."""
    found = plan.report.keys
    if isinstance(mode, Gently):
        return _gently(found, mode.seconds)
    if isinstance(mode, Paced):
        return _paced(found, mode.rate, _walk(plan))
    if isinstance(mode, Stale):
        return _stale(found, mode.seconds, _walk(plan))
    return _now(found, plan)


def _walk(plan: Plan) -> float:
    """Seconds that a walk over all keys takes, judged by how far the plan's own has got."""
    seen = plan.progress
    return seen.elapsed if seen.complete or not seen.share else seen.elapsed / seen.share


def _now(found: Estimate, plan: Plan) -> str:
    """How long the removal takes depends on how busy the server is; the walk alone has been measured."""
    one = round(found.value) == 1
    whole = f"{_first(about(found))} {'goes' if one else 'go'} as fast as the walk's budget allows"
    walk = f"took {duration(_walk(plan))}" if plan.progress.complete else f"takes about {duration(round(_walk(plan)))}"
    took = f"; the walk alone {walk}" if _walk(plan) else ""
    misses = plan.effect.misses
    then = (
        f". {'Its' if one else 'Their'} readers miss at once: {_misses(misses)} in the first minute"
        if misses is not None
        else ""
    )
    return f"{whole}{took}{then}."


def _gently(found: Estimate, seconds: float) -> str:
    rate = Estimate(*(value / seconds for value in found))
    share = f"{_rate(rate, 'expire')}{interval(rate, '/s')}, evenly over {duration(seconds)}"
    return f"{_first(share)}. None lives longer than now: one that would expire sooner does."


def _paced(found: Estimate, rate: float, walk: float) -> str:
    """At a pace above what the walk itself reached the walk is what it waits for."""
    if found.value and walk and found.value / rate < walk:
        return f"No slower than at once: {_figure(rate)} keys/s is more than the walk comes to."
    takes = Estimate(*(value / rate for value in found))
    low, high = duration(takes.low), duration(takes.high)
    span = "" if low == high else f" ({low} to {high})"
    return f"Takes {'' if takes.exact else 'about '}{duration(takes.value)}{span} for {about(found)}."


def _stale(found: Estimate, seconds: float, walk: float) -> str:
    """The grace of each key begins when the walk comes to it, so they end as far apart as the walk is long."""
    spread = f", within about {duration(walk)} of each other" if walk >= 0.1 else ""
    return f"Readers get the old values for {duration(seconds)} more, then {about(found)} {_expire(found)}{spread}."


def _expire(found: Estimate) -> str:
    return "expires" if round(found.value) == 1 else "expire"


def _rate(rate: Estimate, verb: str) -> str:
    if rate.value < HARDLY:
        return f"hardly any key a second {verb}s"
    figure = _figure(rate.value)
    one = figure in ("1", "1.0")
    return f"{'' if rate.exact else 'about '}{figure} {'key' if one else 'keys'}/s {verb}{'s' if one else ''}"


def _misses(misses: Estimate) -> str:
    if misses.value < HARDLY and misses.high < 1:
        return "hardly any misses"
    return f"about {_figure(misses.value)} misses/s{interval(misses, '/s')}"


def subject(plan: Plan) -> str:
    """What a plan is about: `10 212 keys · 41 MB · 4 % of the memory · 1 % of all keys`."""
    report, found = plan.report, plan.effect
    if plan.progress.complete and not report.keys.value:
        return "No key is selected."
    parts = [_first(about(report.keys))]
    if report.memory is not None:
        parts.append(f"{'' if report.memory.exact else 'about '}{byte_size(report.memory.value)}")
    if found.memory_share is not None:
        parts.append(f"{percent(found.memory_share)} of the memory")
    if found.keys_share is not None:
        parts.append(f"{percent(found.keys_share)} of all keys")
    return " · ".join(parts)


def sentence(text: str) -> str:
    """With a capital letter and a full stop; "" stays what it is."""
    return f"{_first(text).removesuffix('.')}." if text else ""


def effect(found: Effect) -> str:
    """What losing them would mean: `about 410 misses/s in the first minute ...`; "" where that is not known."""
    if found.misses is None:
        return ""
    now = "" if found.now is None else f" (now {_figure(found.now)}/s)"
    return f"at the current read rate {_misses(found.misses)} in the first minute{now}."


def planned(plan: Plan) -> str:
    """How sure the count is: `exact, walked in 2.1 s`, `estimated from 50 000 of 10.2 M keys`."""
    seen = plan.progress
    if seen.complete:
        return f"exact, walked in {duration(seen.elapsed)}"
    if not seen.examined:
        return "nothing examined yet"
    of = f" of {short(max(seen.total, seen.examined))}" if seen.total_known else ""
    return f"estimated from {short(seen.examined)}{of} keys in {duration(seen.elapsed)}"


def drift(expected: Estimate, found: int, ended: bool) -> str:
    """What an execution met beside what was planned: `Planned 10 212, found 10 230: 18 more, which came since.`"""
    if expected.exact:
        head = f"Planned {number(round(expected.value))}, found {number(found)}"
        more = found - round(expected.value)
        if not ended:
            return f"{head} so far."
        if not more:
            return f"{head}: exactly as many."
        if more > 0:
            return f"{head}: {number(more)} more, which came or changed since."
        return f"{head}: {number(-more)} fewer, which expired, were removed or changed since."
    low, high = number(round(expected.low)), number(round(expected.high))
    head = f"Planned about {number(round(expected.value))} ({low} to {high}), found {number(found)}"
    if not ended:
        return f"{head} so far."
    if found > round(expected.high):
        return f"{head}: more than was estimated."
    return f"{head}: {'fewer than was estimated' if found < round(expected.low) else 'as estimated'}."


def done(counts: Counts, mode: Mode, ended: bool) -> str:
    """`10 230 keys were removed, 41 MB freed.`"""
    so_far = "" if ended else " so far"
    if isinstance(mode, Now | Paced):
        freed = f", {byte_size(counts.memory)} freed" if counts.memory else ""
        return f"{keys(counts.removed)} {_was(counts.removed)} removed{so_far}{freed}."
    how = "spread over" if isinstance(mode, Gently) else "left to expire after"
    return f"{keys(counts.lowered)} {_was(counts.lowered)} {how} {duration(mode.seconds)}{so_far}."


def undone(found: Undone, ended: bool) -> str:
    """`10 102 keys are back as they were; 18 exist anew and stay as they are.`"""
    head = f"{keys(found.back)} {'is' if found.back == 1 else 'are'} back{'' if ended else ' so far'}"
    rest = []
    if found.newer:
        left = "left as it is" if found.newer == 1 else "left as they are"
        rest.append(f"{number(found.newer)} {_was(found.newer)} written since, {left}")
    if found.same:
        rest.append(f"{number(found.same)} {'is' if found.same == 1 else 'are'} there already as kept")
    if found.expired:
        rest.append(f"{number(found.expired)} would have expired by now")
    if refused := sum(found.refused.values()):
        rest.append(f"{number(refused)} {_was(refused)} refused by the server")
    if found.unsure:
        rest.append(f"of {number(found.unsure)} it is not known, as the server's answer was lost")
    return f"{'; '.join((head, *rest))}."


def receivers(counts: Counts, channel: str) -> str:
    """`12 messages on invalidate, 36 received: 3 receivers each.`"""
    sent = f"{number(counts.messages)} {'message' if counts.messages == 1 else 'messages'} on {channel}"
    if not counts.messages:
        return f"No message on {channel}."
    if not counts.receivers:
        return f"{sent}; nobody listened."
    each = counts.receivers / counts.messages
    mean = f"{number(each, 0 if each == int(each) else 1)} {'receiver' if each == 1 else 'receivers'} each"
    return f"{sent}, {mean if counts.messages > 1 else mean.removesuffix(' each')}."


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _first(text: str) -> str:
    """With a capital letter, and all others as they are."""
    return text[:1].upper() + text[1:]
