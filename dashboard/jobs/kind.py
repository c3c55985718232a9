"""A kind of long work: one plain generator of snapshots, and what is to be known of it. kinds.py has them all.

A kind's generator knows no queue and no database row: it is given what it works on and its arguments, and yields
frozen dataclasses with a `progress`. To cancel or pause it is to close it, so what it must put back goes into a
`finally`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pydantic import TypeAdapter

from dashboard.cache.servers.connect import Cache
from dashboard.cache.walking.progress import Progress
from dashboard.settings import Settings
from dashboard.store.audit import JSON
from dashboard.store.engine import Store
from dashboard.store.operators import Role

Arguments: TypeAlias = Mapping[str, Any]
"""What a job is asked to do, as JSON: it stands in the database, and is the same when the job is started again."""


class HasProgress(Protocol):
    """What every generator of long work yields."""

    @property
    def progress(self) -> Progress: ...


class Refused(Exception):
    """A kind says that it cannot do what its arguments ask. The job fails with these two sentences."""

    def __init__(self, sentence: str, advice: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.advice = advice


@dataclass(frozen=True)
class Work:
    """What a job may work with."""

    cache: Cache
    settings: Settings
    store: Store


def _everything(_arguments: Arguments) -> str:
    return ""


def _nothing(_snapshot: Any) -> JSON:
    return None


def _no_counts(_snapshot: Any) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    title: what the screens call it. start: the generator. adapter: of its snapshots' type. role: the lowest that may
    start, cancel and restart it. subject: what it is done to, in words for the audit trail and the list of jobs.
    audits: for kinds that change a cache, the action ("keys.retime") under which the worker itself writes down the
    attempt when it begins and the outcome when it ends, with after(last snapshot): what was done by then, in numbers
    (the snapshot is None if there was none). again: whether an ended job may be started again with the same arguments.
    counts: what a snapshot counted, by name: the list of jobs tells it without reading the snapshot (job_words.py).
    resumes: whether a job that was paused, interrupted or has failed may go on where it stood: started once more with
    the same arguments, its generator finds out by itself where that was, and its first snapshot counts all of it.
    """

    name: str
    title: str
    start: Callable[[Work, Arguments], Iterator[HasProgress]]
    adapter: TypeAdapter[Any]
    role: Role = Role.OPERATOR
    subject: Callable[[Arguments], str] = _everything
    audits: str = ""
    after: Callable[[Any], JSON] = _nothing
    again: bool = True
    counts: Callable[[Any], Mapping[str, int]] = _no_counts
    resumes: bool = False

    @property
    def changes(self) -> bool:
        """Whether it changes the cache: then a read-only cache refuses it, and production asks twice."""
        return bool(self.audits)
