"""The bench: one driver, one shop, at most one scenario or comparison at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dashboard.demo.bench.blocks import SERIES
from dashboard.demo.bench.comparison import Plan, Snapshot, compare
from dashboard.demo.bench.recorder import Recorder
from dashboard.demo.bench.scenarios import SCENARIOS, Scenario
from dashboard.demo.bench.settling import settle
from dashboard.demo.bench.shops import Shops, ShopTrouble
from dashboard.demo.bench.stage import Stage
from dashboard.demo.knobs import PATTERNS, PREVENTIONS, Knobs
from dashboard.demo.visitors.open_loop import Driver

SETTLE_SECONDS = 10.0
SETTLE_DRAIN_SECONDS = 2.0
RESTORE_TRIES = 60  # one a second, where the shop is away when a scenario ends
PUT_BACK_SECONDS = 3.0  # that whoever begins another scenario waits for that
JOIN_SECONDS = 30.0
LEAVE_SECONDS = 2.0
SHORTEST, LONGEST = 5, 3600  # seconds a pattern


class BadWish(ValueError):
    """What was asked for is not possible at all; says why, in a sentence."""


class NotNow(Exception):
    """It is possible, but not at the moment; says why, in a sentence."""


@dataclass(frozen=True)
class _Act:
    """A scenario under way; `ends` is None as long as it begins, and for one without an end."""

    scenario: Scenario
    stage: Stage
    since: float
    ends: float | None = None


class Bench:
    """What is asked of it is answered from what is kept; what is told may take as long as the shop takes.

    The last comparison is kept in the folder `data`, where one is given.
    """

    def __init__(self, driver: Driver, shops: Shops, recorder: Recorder, data: Path | None = None) -> None:
        self._driver = driver
        self._shops = shops
        self._recorder = recorder
        self._file = data / "comparison.json" if data else None
        self._turning = threading.RLock()
        self._act = _Act(SCENARIOS["steady"], Stage(shops, driver), time.time())
        self._player: threading.Thread | None = None
        self._comparing: threading.Thread | None = None
        self._halted = threading.Event()
        self._comparison = self._kept()
        self._is_settled = False
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._keep_settling, name="settler", daemon=True).start()

    def end(self) -> None:
        """Put back what a scenario or a comparison turned, if the shop answers at once."""
        self._ended.set()
        self._halted.set()
        self._act.stage.halted.set()
        for thread in (self._player, self._comparing):
            if thread:
                thread.join(LEAVE_SECONDS)

    def to_plain(self) -> dict[str, Any]:
        """All that GET /bench says."""
        recorder, act, points = self._recorder, self._act, self._recorder.points()
        cache = recorder.cache
        lost = self._driver.truth.lost if self._is_settled else None
        series = {name: [getattr(point.figures, name) for point in points] for name in SERIES}
        return {
            "at": time.time(),
            "shop": "up" if recorder.shop_answers else "away",
            "knobs": recorder.knobs,
            "traffic": self._driver.traffic.to_plain(),
            "scenario": {
                "name": act.scenario.name,
                "sentence": act.stage.sentence or act.scenario.sentence,
                "since": act.since,
                "ends": act.ends,
            },
            "cache": vars(cache) if cache else None,
            "now": recorder.now().to_plain() | {"stale_total": recorder.stale_total, "lost": lost},
            "series": {"at": [point.at for point in points]} | series,
            "comparison": self._comparison,
            "scenarios": [
                {"name": one.name, "title": one.title, "sentence": one.sentence} for one in SCENARIOS.values()
            ],
            "choices": {"pattern": PATTERNS, "prevention": PREVENTIONS},
        }

    def turn_knobs(self, wanted: object) -> None:
        """Raises BadKnob, NotNow, and ShopTrouble where the shop does not answer or refuses."""
        with self._turning:
            self._refuse_while_comparing()
            Knobs().turned(wanted)
            self._recorder.knobs = self._shops.turn(wanted)  # type: ignore[arg-type]

    def turn_traffic(self, wanted: object) -> None:
        """Raises BadTraffic and NotNow."""
        with self._turning:
            self._refuse_while_comparing()
            self._driver.turn(self._driver.traffic.turned(wanted, self._driver.size))

    def begin_scenario(self, name: object) -> None:
        """End the scenario under way and begin another. Raises BadWish and NotNow."""
        scenario = SCENARIOS.get(name) if isinstance(name, str) else None
        if scenario is None:
            raise BadWish(f"the scenario must be one of {', '.join(SCENARIOS)}")
        with self._turning:
            self._refuse_while_comparing()
            self._end_scenario()
            self._act = _Act(scenario, Stage(self._shops, self._driver), time.time())
            self._player = threading.Thread(target=self._play, args=(self._act,), name="scenario", daemon=True)
            self._player.start()

    def begin_comparison(self, seconds: object, seed: object, prevention: object = None) -> None:
        """Compare the patterns with this traffic and these knobs. Raises BadWish, NotNow, BadKnob and ShopTrouble."""
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not SHORTEST <= seconds <= LONGEST:
            raise BadWish(f"seconds must be a whole number from {SHORTEST} to {LONGEST}")
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise BadWish("seed must be a whole number")
        wanted = {} if prevention is None else {"prevention": prevention}
        Knobs().turned(wanted)
        with self._turning:
            self._refuse_while_comparing()
            self._end_scenario()
            plan = Plan(seconds, seed, self._driver.traffic, self._shops.knobs() | wanted)
            self._halted.clear()
            steps = compare(self._shops, self._driver, self._recorder, plan, self._halted)
            self._comparison = next(steps).to_plain()
            self._comparing = threading.Thread(target=self._compare, args=(steps,), name="comparison", daemon=True)
            self._comparing.start()

    def cancel_comparison(self) -> None:
        """Return when knobs and traffic are as they were before. Without a comparison nothing happens."""
        with self._turning:
            self._halted.set()
            if self._comparing:
                self._comparing.join(JOIN_SECONDS)

    def _refuse_while_comparing(self) -> None:
        if self._comparing and self._comparing.is_alive():
            raise NotNow("a comparison is running: cancel it first, as it must not be disturbed")

    def _end_scenario(self) -> None:
        self._act.stage.halted.set()
        if self._player:
            self._player.join(PUT_BACK_SECONDS)
            if self._player.is_alive():
                raise NotNow("the scenario before is still being put back, as the shop does not answer")

    def _play(self, act: _Act) -> None:
        stage, said = act.stage, ""
        try:
            act.scenario.play(stage)
            if act.scenario.seconds is not None:
                self._act = replace(act, ends=time.time() + act.scenario.seconds)
            stage.halted.wait(act.scenario.seconds)
        except ShopTrouble as error:
            said = f"{act.scenario.title} ended early: {error}."
        for _ in range(RESTORE_TRIES):
            try:
                stage.restore()
                break
            except ShopTrouble as error:
                said = f"What {act.scenario.title} turned could not be put back: {error}."
                if self._ended.wait(1.0):
                    break
        steady = Stage(self._shops, self._driver)
        steady.say(said)
        self._act = _Act(SCENARIOS["steady"], steady, time.time())

    def _compare(self, steps: Iterator[Snapshot]) -> None:
        for snapshot in steps:
            self._comparison = snapshot.to_plain()
        self._keep(snapshot)

    def _keep(self, snapshot: Snapshot) -> None:
        if self._file is None:
            return
        draft = self._file.with_suffix(".new")
        # A folder that cannot be written costs the next process its memory, not this one its work.
        with suppress(OSError):
            draft.write_text(json.dumps(snapshot.to_plain()), encoding="utf-8")
            draft.replace(self._file)

    def _kept(self) -> Mapping[str, Any] | None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8")) if self._file else None
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("rows"), list) else None

    def _keep_settling(self) -> None:
        while not self._ended.wait(SETTLE_SECONDS):
            if self._comparing and self._comparing.is_alive():
                continue
            with suppress(ShopTrouble):
                settle(self._driver.truth, self._shops, SETTLE_DRAIN_SECONDS)
                self._is_settled = True
