"""What commands that act on keys have in common: the cache, Cachedeck's own state, in whose name, and the question."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import click

from dashboard.cache.servers.connect import Cache
from dashboard.cli.cache import chosen
from dashboard.cli.line import Line
from dashboard.jobs.invalidating import Caller
from dashboard.jobs.kind import Work
from dashboard.jobs.run_here import run_here
from dashboard.settings import Settings, load_settings, prepare_data_folder
from dashboard.store.engine import Store, open_store
from dashboard.store.jobs import Job

# Exit codes; 2 is click's, for what was typed wrong.
DONE, FAILED, NEEDS_APPROVAL, NOT_ALL, NOTHING = 0, 1, 3, 4, 5


@dataclass(frozen=True)
class Desk:
    """A cache and our own state, opened, and who sits there."""

    settings: Settings
    store: Store
    cache: Cache
    caller: Caller

    @property
    def work(self) -> Work:
        return Work(self.cache, self.settings, self.store)


@contextmanager
def opened_settings() -> Iterator[tuple[Settings, Store]]:
    """Our own state, closed afterwards. Raises BadSettings, StoreError."""
    settings = load_settings()
    prepare_data_folder(settings)
    with closing(open_store(settings.database)) as store:
        yield settings, store


@contextmanager
def opened(name: str | None) -> Iterator[Desk]:
    """The cache of this name, or the only one. Raises UsageError, BadSettings, StoreError."""
    with opened_settings() as (settings, store), closing(chosen(settings, name)) as cache:
        yield Desk(settings, store, cache, caller())


def caller() -> Caller:
    """The user of this machine, as the audit trail names him."""
    return Caller(f"cli:{getpass.getuser()}", "local", "cli")


def require_answerable(*, yes: bool) -> None:
    """Raises UsageError where nobody can be asked and nobody has agreed beforehand."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here, as there is no terminal: say --yes if you mean it.")


def agreed(desk: Desk, question: str, *, yes: bool) -> bool:
    """Whether somebody says yes. A production cache asks for its name, as on the pages."""
    if yes:
        return True
    if desk.cache.target.environment != "production":
        return click.confirm(question, err=True)
    typed = click.prompt(f"{question} Type {desk.cache.name} to go on", default="", show_default=False, err=True)
    return bool(typed.strip() == desk.cache.name)


def driven(desk: Desk, job: Job, owner: str, told: Callable[[Any], str]) -> Job:
    """Run a job of ours to its end, with a line on the terminal of what each snapshot tells; the job as it is then.

    Ctrl-C pauses it where it can go on later, and ends it where it cannot.
    """
    with closing(Line()) as line:
        return run_here(job, desk.work, owner, on_snapshot=lambda seen: line.show(told(seen)), by_signals=True)


def code_of(job: Job) -> int:
    """The exit code of a job that did not come to its end, which is said on stderr; DONE for one that did."""
    if job.state == "finished":
        return DONE
    if job.state == "failed":
        click.echo(f"Error: {job.error} {job.advice}".rstrip(), err=True)
        return FAILED
    click.echo(f"It was {job.state} before its end.", err=True)
    return NOT_ALL
