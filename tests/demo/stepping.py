"""Threads that stand still wherever their work says so, until a test lets them go on: any interleaving, at will."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

PATIENCE_SECONDS = 120.0
_here = threading.local()


def pause() -> None:
    """Stand still until the test says `step`; nothing outside of a Stepper."""
    stepper: Stepper | None = getattr(_here, "stepper", None)
    if stepper is not None:
        stepper.stand_still()


class Stepper:
    """Work in a thread of its own. It runs until its first pause at once; the caller waits for that."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._stands: queue.Queue[bool] = queue.Queue()  # True: at a pause, False: at its end
        self._go: queue.Queue[None] = queue.Queue()
        self._outcome: Future[Any] = Future()
        self.is_over = False
        threading.Thread(target=self._run, daemon=True).start()
        self._wait()

    def step(self) -> bool:
        """Let it go on to its next pause; False where it has come to its end instead."""
        self._go.put(None)
        self._wait()
        return not self.is_over

    def finish(self) -> Any:
        """Let it go on to its end; what the work has answered, or raises what it has raised."""
        while not self.is_over:
            self.step()
        return self._outcome.result(PATIENCE_SECONDS)

    def stand_still(self) -> None:
        self._stands.put(True)
        self._go.get()

    def _run(self) -> None:
        _here.stepper = self
        try:
            self._outcome.set_result(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the test waits
            self._outcome.set_exception(error)
        self._stands.put(False)

    def _wait(self) -> None:
        self.is_over = not self._stands.get(timeout=PATIENCE_SECONDS)


class SteppedPool(Executor):
    """An executor whose tasks are Steppers; `steppers` has those that were submitted."""

    def __init__(self) -> None:
        self.steppers: list[Stepper] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        self.steppers.append(Stepper(lambda: done.set_result(fn(*args, **kwargs))))
        return done
