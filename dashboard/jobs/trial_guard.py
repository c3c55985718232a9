"""Looking after trials: a thread of the worker that takes each back in time, sooner where it hurts, and puts the
settings on again where a node has lost them.

The deadline is in the store, by the wall clock; by this thread's own clock a trial also ends when it has been watched
for as long as it was to take, so that a clock which is set back does not make it longer. Any number of workers may look
at the same trials: who takes one by a change of its state is the one to do it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache
from dashboard.cache.tuning import node_settings
from dashboard.cache.tuning.effect import Planned
from dashboard.cache.tuning.trial_rules import WINDOW_SECONDS, BadGuards, crossed, guards_of, window_of
from dashboard.cache.wording import duration, span
from dashboard.jobs import putting, trying
from dashboard.jobs.caller import Caller, audited
from dashboard.jobs.trial_windows import window
from dashboard.jobs.tuning import had, in_words, outcome
from dashboard.jobs.tuning_refused import HasEnded
from dashboard.jobs.watching import Watching
from dashboard.settings import Settings
from dashboard.store import setting_changes, trials
from dashboard.store.engine import Store
from dashboard.store.errors import StoreError
from dashboard.store.setting_changes import Asked
from dashboard.store.trials import Trial

AGAIN_SECONDS = 5.0  # until a trial that is stuck is tried again
MOST_PATIENCE_SECONDS = 60.0  # so rarely is one tried again that has been stuck for long
HELD_SECONDS = 5.0  # how often it is looked whether every primary still has the settings
PATIENCE_SECONDS: Mapping[trials.State, float] = {"starting": 30.0, "ending": 10.0}
"""Who starts a trial, or ends it, and is not done after so long was killed in the middle of it."""
LATE_SECONDS = 30.0
"""What is taken back so much later than it should have been says so: no worker ran."""
FIRST_SECONDS = 10.0
"""A trial is judged from so long after its start on, by what happened since."""

_log = logging.getLogger(__name__)


@dataclass
class _Seen:
    """What this thread knows of a trial. All by time.monotonic(). left: seconds that it had at the first look."""

    at: float
    left: float
    state: trials.State
    state_since: float
    looked: float = float("-inf")
    patience: float = AGAIN_SECONDS
    told: set[str] = field(default_factory=set)


class TrialGuard:
    """Looks after the trials of some caches until it is told to stop. `start` and `stop` once each."""

    def __init__(self, store: Store, caches: Mapping[str, Cache], settings: Settings) -> None:
        self._store = store
        self._caches = caches
        self._settings = settings
        self._seen: dict[int, _Seen] = {}
        self._watching = Watching(f"trials of {', '.join(caches)}", self.look)

    def start(self) -> None:
        self._watching.start()

    def stop(self, seconds: float) -> bool:
        """Ask it to end, and wait so long; whether it did (it may be waiting for a server that does not answer)."""
        return self._watching.stop(seconds)

    def look(self, now: float) -> None:
        """One look at every open trial at epoch second `now`. Raises StoreUnavailable."""
        found = trials.open_on(self._store, self._caches.keys())
        for number in self._seen.keys() - {trial.number for trial in found}:
            del self._seen[number]
        for trial in found:
            try:
                self._look_after(trial, now)
            except HasEnded:
                continue  # somebody else was first
            except StoreError:
                raise
            except CacheError as error:
                self._tell(trial, f"{trial.cache} cannot be looked at: {error.sentence}")
            except Exception:  # noqa: BLE001 (a defect of ours: it is logged, and holds up no other trial)
                _log.exception("trial %d cannot be looked after", trial.number)

    def _look_after(self, trial: Trial, now: float) -> None:
        seen = self._known(trial, now)
        cache = self._caches[trial.cache]
        if trial.state == "running":
            self._judge(cache, trial, seen, now)
        elif trial.state == "stuck":
            if time.monotonic() - seen.looked >= seen.patience:
                seen.looked, seen.patience = time.monotonic(), min(2 * seen.patience, MOST_PATIENCE_SECONDS)
                trying.take_back(self._store, cache, trying.go(self._store, trial, "ending"), _caller(trial))
        elif time.monotonic() - seen.state_since > PATIENCE_SECONDS[trial.state]:
            self._bury(cache, trial)

    def _bury(self, cache: Cache, trial: Trial) -> None:
        """Of one whose starting or ending was cut short: take back what there is to be taken back."""
        why = trial.why or "Who started it was stopped before it was on every node."
        # By way of "stuck", so that of two workers one takes it.
        stuck = trying.go(self._store, trial, "stuck", why=why)
        trying.take_back(self._store, cache, trying.go(self._store, stuck, "ending"), _caller(trial))

    def _known(self, trial: Trial, now: float) -> _Seen:
        clock = time.monotonic()
        seen = self._seen.get(trial.number)
        if seen is None:
            left = min(max(trial.ends_at - now, 0.0), trial.seconds)
            seen = self._seen[trial.number] = _Seen(clock, left, trial.state, clock)
        if seen.state != trial.state:
            seen.state, seen.state_since = trial.state, clock
        return seen

    def _judge(self, cache: Cache, trial: Trial, seen: _Seen, now: float) -> None:
        over = time.monotonic() - seen.at >= seen.left
        if now >= trial.ends_at or over:
            late = now - trial.ends_at
            why = f"Its time, {duration(trial.seconds)}, was over."
            if late > LATE_SECONDS:
                why += f" It was taken back {span(late)} late: no worker ran until then."
            self._finish(cache, trial, why, now)
            return
        hurt = self._hurt(trial, now)
        if hurt:
            self._finish(cache, trial, hurt, now)
        elif time.monotonic() - seen.looked >= HELD_SECONDS:
            seen.looked = time.monotonic()
            self._hold(cache, trial)

    def _hurt(self, trial: Trial, now: float) -> str:
        """Why it has to be taken back before its time; "" where nothing has."""
        since = now - trial.started_at
        if trial.purpose != "trial" or since < FIRST_SECONDS:
            return ""
        try:
            guards = guards_of(trial.guards)
        except BadGuards:
            return "Another version of Cachedeck started it, and this one cannot read its limits."
        lately = window(self._store, trial.cache, min(WINDOW_SECONDS, since), now)
        return crossed(guards, window_of(trial.baseline), lately) if lately else ""

    def _hold(self, cache: Cache, trial: Trial) -> None:
        """Put the settings on again where a node has lost them: it was started anew, or a replica took over."""
        nodes = node_settings.read(cache, replicas=trial.replicas)
        for node in nodes:
            if node.problem:
                self._tell(trial, f"{node.node} cannot be looked at: {node.problem}")
        well = [node for node in nodes if not node.problem]
        lost = putting.planned_on(well, trial.wanted, replicas=trial.replicas)
        first = setting_changes.get(self._store, trial.change) if trial.change is not None else None
        before = {one.node: one.before for one in first.nodes} if first else {}
        due = []
        for one in lost:
            had_before = before.get(one.node)
            if had_before is not None and any(
                not node_settings.same(n, v, had_before.get(n)) for n, v in one.now.items()
            ):
                told = ", ".join(f"{name}={value}" for name, value in one.now.items())
                self._tell(trial, f"{one.node} was given {told} by somebody else: that was left.")
            else:
                due.append(one)
        # A look at nodes may take seconds, in which an operator may have ended it: then they have lost nothing.
        if due and self._state(trial) == "running":
            self._again(cache, trial, due)

    def _state(self, trial: Trial) -> trials.State | None:
        now = trials.get(self._store, trial.number)
        return now.state if now else None

    def _again(self, cache: Cache, trial: Trial, due: list[Planned]) -> None:
        caller = _caller(trial)
        why = f"trial {trial.number}: it had lost them"
        subject = in_words(trial.wanted, due)
        with audited(self._store, caller, cache, "settings.again", subject, why, had(due)) as said:
            asked = Asked(caller.name, caller.address, why)
            begun = putting.begin(self._store, cache, "again", trial.wanted, due, asked, replicas=trial.replicas)
            done = putting.send(self._store, cache, begun, through=True)
            said.done(after=outcome(done))
        if self._state(trial) not in ("running", "kept"):
            trying.undo(self._store, cache, trial, done, caller)
            return
        for one in done.nodes:
            again = "was given them again" if one.state == "applied" else f"could not be given them: {one.sentence}"
            self._tell(trial, f"{one.node} had lost the settings of the trial and {again}.")

    def _finish(self, cache: Cache, trial: Trial, why: str, now: float) -> None:
        trying.finish(self._store, self._settings, cache, trial, why, _caller(trial), now)
        _log.info("Trial %d on %s: %s", trial.number, trial.cache, why)

    def _tell(self, trial: Trial, sentence: str) -> None:
        """Once for each trial and sentence."""
        seen = self._seen.get(trial.number)
        if seen is None or sentence not in seen.told:
            trials.note(self._store, trial.number, [sentence])
            _log.warning("Trial %d on %s: %s", trial.number, trial.cache, sentence)
        if seen is not None:
            seen.told.add(sentence)


def _caller(trial: Trial) -> Caller:
    return Caller(f"cachedeck, for {trial.actor}", "", "trial")
