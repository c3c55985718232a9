"""`cachedeck export`: keys with what they hold, as JSON lines, to a file or to where the output goes."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from dashboard.cache.errors import CacheError
from dashboard.cache.exporting.run import Options, Part, export, last_line, why_not_whole
from dashboard.cache.selecting.selection import BadSelection, Selection, lines_of, listed
from dashboard.cache.selecting.words import in_words
from dashboard.cache.walking.walk import Budget
from dashboard.cache.walking.watch import Limits
from dashboard.cli.cache import selected, selecting
from dashboard.cli.ctrl_c import ctrl_c
from dashboard.cli.desk import DONE, FAILED, Desk, opened
from dashboard.cli.line import Line, in_a_line
from dashboard.store import audit
from dashboard.store.audit import Change

INTERRUPTED = 130  # as a shell says of a program that Ctrl-C has ended


class Incomplete(Exception):
    """An export that lacks keys; what was written stands. `sentence` says why."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


@click.command("export")
@selecting
@click.option("--keys-from", type=click.File("rb"), help="Keys one a line instead; - for the input.")
@click.option("--dump", is_flag=True, help="Each key as RESTORE takes it, instead of its value.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file, closed to other users.")
@click.option("--reason", default="", help="Kept in the audit trail.")
@click.pass_context
def export_command(
    context: click.Context,
    *,
    pattern: str,
    name: str | None,
    kind: str,
    ttl: str,
    size: str,
    keys_from: BinaryIO | None,
    dump: bool,
    output: Path | None,
    reason: str,
) -> None:
    r"""Write the keys that match a glob PATTERN with type, TTL and value, one JSON object a line.

    The last line says whether it is complete: so does the exit code, 1 where keys are missing. Ctrl-C ends it (130).
    The form of the lines is in docs/invalidation.md.
    """
    selection = _selection(pattern, keys_from, (kind, ttl, size))
    with opened(name) as desk:
        try:
            with _writing(output) as file:
                _export(desk, selection, file, dump=dump, reason=reason)
        except Incomplete as error:
            click.echo(error.sentence, err=True)
            context.exit(error.code)
        except OSError as error:
            if output is None:
                raise
            raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from None
    context.exit(DONE)


def _selection(pattern: str, keys_from: BinaryIO | None, conditions: tuple[str, str, str]) -> Selection:
    if keys_from is None:
        return selected(pattern, *conditions)
    if pattern != "*":
        raise click.UsageError("Keys are selected by a PATTERN or by --keys-from, not by both.")
    try:
        return listed(lines_of(keys_from.read().decode()), *conditions)
    except BadSelection as error:
        raise click.UsageError(str(error)) from None
    except UnicodeDecodeError:
        raise click.UsageError(r"The list is no UTF-8: write other bytes as \xNN.") from None


@contextmanager
def _writing(output: Path | None) -> Iterator[BinaryIO]:
    """Where the lines go. A file holds what the cache holds, so nobody else may read it. Raises OSError."""
    if output is None:
        yield sys.stdout.buffer
        return
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), 0o600)
            file.truncate()
        yield file


def _export(desk: Desk, selection: Selection, file: BinaryIO, *, dump: bool, reason: str) -> None:
    """Raises Incomplete, and CacheError where nothing was written at all."""
    change = Change(
        desk.caller.name, desk.caller.address, desk.cache.name, "keys.export", in_words(selection), None, reason
    )
    with audit.record(desk.store, change) as attempt:
        last: Part | None = None
        why, code = "", FAILED
        try:
            with ctrl_c() as stopped, closing(_parts(desk, selection, dump=dump)) as parts:
                for last in parts:
                    file.write("".join(last.lines).encode())
                    if stopped.is_set():
                        why, code = "Stopped by Ctrl-C.", INTERRUPTED
                        break
        except CacheError as error:
            if last is None:
                raise
            why = f"{error.sentence} {error.advice}".strip()
        file.write(last_line(last, why).encode())
        file.flush()
        attempt.done(after={"dump": dump, **(last.counts.to_plain() if last else {})})
        why = why or (why_not_whole(last) if last else "")
        if why:
            raise Incomplete(why, code)


def _parts(desk: Desk, selection: Selection, *, dump: bool) -> Generator[Part]:
    """With an end that can be closed, and a line on the terminal meanwhile."""
    settings, line = desk.settings, Line()
    options = Options(
        Budget(hold_ms=settings.walk_hold_ms, share=settings.walk_share),
        Limits(settings.walk_latency_ms, settings.walk_memory_mb * 1024 * 1024),
        dump=dump,
    )
    with closing(line):
        for part in export(desk.cache, selection, options):
            line.show(f"{part.counts.keys:,} keys written, {in_a_line(part.progress)}")
            yield part
