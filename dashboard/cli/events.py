"""`cachedeck events tail`: what servers publish, a line for each event, as it comes."""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

import click

from dashboard.cache.errors import CacheError
from dashboard.cache.events.buffer import Batch, Buffer
from dashboard.cache.events.event import Event, Gap, Item
from dashboard.cache.events.hearing import Hearing
from dashboard.cache.events.sieve import Sieve, sieve_of
from dashboard.cache.events.standing import Standing
from dashboard.cache.events.subscription import BadSubscription, Kind, Source, Subscription
from dashboard.cache.notifications.event_lines import as_text, of_item, of_lost
from dashboard.cache.notifications.flags import missing_flags
from dashboard.cache.selecting.glob import is_wild
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.servers.connect import Cache
from dashboard.cli.cache import chosen
from dashboard.cli.ctrl_c import ctrl_c
from dashboard.cli.text import say
from dashboard.settings import load_settings

KEPT = 20_000
"""Events that wait for a slow terminal before the oldest of them are lost; of 2 kB each at most."""
AT_ONCE = 500
"""Lines of one write: after each it is seen whether somebody has pressed Ctrl-C."""
WAIT_SECONDS = 0.2


@click.group("events")
def events_group() -> None:
    """What servers publish: channels, key events, and what client-side caching tells."""


@events_group.command("tail")
@click.option("--channel", "channels", multiple=True, metavar="PATTERN", help="A channel, or a glob pattern of them.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="A key event: expired, set; '*' is all.")
@click.option("--key", "keys", multiple=True, metavar="PATTERN", help="Whatever happens to these keys.")
@click.option("--tracking", "prefixes", multiple=True, metavar="PREFIX", help="Invalidations of client-side caching.")
@click.option("--sharded", "sharded", multiple=True, metavar="NAME", help="A sharded channel.")
@click.option("--text", default="", help="Only events with this text in payload or channel.")
@click.option("--in", "within", default="", metavar="PATTERN", help="Only events of channels like this.")
@click.option("--cache", "name", help="Which cache; may be left out when only one is configured.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="End after so long.")
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail_command(
    *,
    channels: tuple[str, ...],
    events: tuple[str, ...],
    keys: tuple[str, ...],
    prefixes: tuple[str, ...],
    sharded: tuple[str, ...],
    text: str,
    within: str,
    name: str | None,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> None:
    r"""Print what is published, a line for each event, until Ctrl-C (exit code 0).

    Name at least one of --channel, --event, --key, --tracking and --sharded; each may be repeated. Bytes that are no
    text are written as \xNN, here as in names. Gaps, refusals and lost events are told on standard error; with --json
    gaps and lost events are objects among the others. The form of the lines is in docs/events.md. Exit code 1 if
    nothing can be heard to begin with.
    """
    named: dict[Kind, tuple[str, ...]] = {"event": events, "key": keys, "tracking": prefixes, "sharded": sharded}
    try:
        subscription, sieve = _subscription(channels, named), sieve_of(text, within)
    except BadSubscription as error:
        raise click.UsageError(str(error)) from None
    with closing(chosen(load_settings(), name)) as cache:
        _tail(cache, subscription, sieve, _Wanted(seconds, count, as_json))


@dataclass(frozen=True)
class _Wanted:
    """How long, how many events, and in which form."""

    seconds: float | None
    count: int | None
    as_json: bool


def _subscription(channels: Iterable[str], named: dict[Kind, tuple[str, ...]]) -> Subscription:
    """Raises BadSubscription."""
    found = [_channel(from_printable(text)) for text in channels]
    for kind, texts in named.items():
        for text in texts:
            word = from_printable(text)
            found.append(Source(kind, word.removesuffix(b"*") if kind == "tracking" else word))
    return Subscription(tuple(found))


def _channel(name: bytes) -> Source:
    return Source("pattern" if is_wild(name) else "channel", name)


class _Tail:
    """What is printed, and when that is enough. lost: events so far for which the terminal was too slow."""

    def __init__(self, seconds: float | None, count: int | None, *, as_json: bool) -> None:
        self.lost = 0
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._left = count
        self._as_json = as_json

    @property
    def ended(self) -> bool:
        return self._left == 0 or (self._ends is not None and time.monotonic() >= self._ends)

    def print(self, batch: Batch, stopped: threading.Event) -> None:
        """The lines of a batch, or of a part of it where it is stopped meanwhile. Raises OSError where nobody reads."""
        if batch.lost:
            self.lost += batch.lost
            _say(f"{batch.lost:,} events were lost: this terminal was too slow.")
            if self._as_json:
                _write([of_lost(batch.lost)])
        items = iter([one for _, one in batch.items])
        while (some := [*islice(items, AT_ONCE)]) and not stopped.is_set() and not self.ended:
            _write(self._lines(some))

    def _lines(self, items: Iterable[Item]) -> Iterator[str]:
        for item in items:
            if isinstance(item, Gap) and not self._as_json:
                _say(as_text(item))
                continue
            yield of_item(item) if self._as_json else f"{as_text(item)}\n"
            if self._left is not None and isinstance(item, Event):
                self._left -= 1
                if not self._left:
                    return


def _tail(cache: Cache, subscription: Subscription, sieve: Sieve, wanted: _Wanted) -> None:
    """Raises CacheError where nothing can be heard, ClickException where listening has ended by itself."""
    with _listening(cache, subscription, sieve) as (hearing, buffer), ctrl_c() as stopped:
        standing = _settled(hearing, stopped)
        if stopped.is_set():
            return
        if not standing.heard:
            raise standing.silent[0].error
        tail = _Tail(wanted.seconds, wanted.count, as_json=wanted.as_json)
        _say(f"Listening on {', '.join(standing.heard)}.")
        _say_what_is_off(cache, subscription)
        _follow(hearing, buffer, tail, stopped)
        if tail.lost:
            _say(f"In all, {tail.lost:,} events were lost: this terminal was too slow.")
        if buffer.why:
            raise click.ClickException(buffer.why)


def _follow(hearing: Hearing, buffer: Buffer, tail: _Tail, stopped: threading.Event) -> None:
    """Until Ctrl-C, the end of the tail, or when nothing comes any more."""
    after, told = 0, set[str]()
    while not stopped.is_set() and not tail.ended and not _reader_gone():
        for _, refusal in hearing.standing.refusals:
            if refusal.error.sentence not in told:
                told.add(refusal.error.sentence)
                _say(f"Not heard: {refusal.error.sentence}")
        buffer.wait(after, WAIT_SECONDS)
        batch = buffer.batch(after, KEPT)
        after = batch.upto
        tail.print(batch, stopped)
        if buffer.closed and batch.empty:
            return


@contextmanager
def _listening(cache: Cache, subscription: Subscription, sieve: Sieve) -> Iterator[tuple[Hearing, Buffer]]:
    hearing = Hearing(cache, subscription, kept=KEPT)
    hearing.start()
    try:
        with hearing.watching(sieve) as buffer:
            yield hearing, buffer
    finally:
        hearing.close()


def _settled(hearing: Hearing, stopped: threading.Event) -> Standing:
    """How it stands when it is known which nodes are heard, or when it is stopped before."""
    while not (found := hearing.standing).heard and not found.silent and not stopped.wait(0.02):
        pass
    return found


def _say_what_is_off(cache: Cache, subscription: Subscription) -> None:
    """The flags of notify-keyspace-events that this would need, where they can be read."""
    if not subscription.notified:
        return
    # It brings the whole store along, which nothing else here needs.
    from dashboard.jobs import notifying  # noqa: PLC0415

    with suppress(CacheError):
        told = notifying.flags_of(cache)
        if told and (off := missing_flags(told, subscription)):
            _say(f"These key events need the flags {off} of notify-keyspace-events, which are off.")


def _reader_gone() -> bool:
    """Whether the output is a pipe that nobody reads any more: where nothing comes, no write would tell."""
    poll = select.poll()
    with suppress(OSError, ValueError):
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    return False


def _write(lines: Iterable[str]) -> None:
    # Names of nodes are the network's: whatever they hold, a line is written.
    sys.stdout.buffer.write("".join(lines).encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def _say(sentence: str) -> None:
    say([sentence], err=True)
