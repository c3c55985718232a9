"""Several programs as one: started together, logged together, stopped together.

The semantics are honcho's, and so is the printer: a coloured name before each line, and when one process
ends, all end. honcho's own Manager is not used: it starts another Python for each process, its waiting for
hung ones begins only when one has ended, and what it started outlives it when it is killed.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import IO, Any

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from dashboard.leash import die_with_parent

# A stop takes less than 5 s: who ignores SIGTERM is killed after so long, the last ones 0.5 s later.
PATIENCE_SECONDS = 3.6
LAST_SECONDS = 0.5
TICK_SECONDS = 0.1
LINES = 1000  # held back when the terminal is slower than the processes; then they wait
OWN_NAME = "cachedeck"


@dataclass(frozen=True)
class Program:
    """What to start.

    One with `last` is stopped only when the others have ended: they still need it. Lines of its output
    that contain `unimportant` are not shown.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    last: bool = False
    unimportant: bytes = b""


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    reader: threading.Thread | None = None
    ended: bool = False

    def signal(self, number: signal.Signals) -> None:
        """To the child and whatever it started in its session."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def look(self) -> bool:
        """Whether it ended just now. Its stragglers are killed before its pid is given back."""
        if self.ended:
            return False
        pid = self.process.pid
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.ended = True
        return True


class Processes:
    """Runs programs until a signal comes or one of them ends, then stops all of them."""

    def __init__(self, programs: Sequence[Program], output: IO[str] | None = None) -> None:
        self._programs = programs
        width = max(len(name) for name in [OWN_NAME, *(program.name for program in programs)])
        self._printer = Printer(output or sys.stdout, width=width)
        self._colours = dict(zip([program.name for program in programs], get_colours(), strict=False))
        self._lines: queue.Queue[tuple[str, bytes | str]] = queue.Queue(LINES)
        self._children: list[_Child] = []
        self._signals = 0
        self._failed = False

    def run(self, ready: Callable[[], bool], when_ready: Callable[[], None]) -> int:
        """Start all, call `when_ready` once after `ready` was true, and stay until all have ended.

        `ready` is asked again and again in a thread of its own, `when_ready` runs in this one. Gives the
        exit code: 0 after SIGINT, SIGTERM or SIGHUP, 1 when a program ended by itself. Call it in the main
        thread: signals arrive there, and the kernel ties the children to the thread that starts them.
        """
        former = {number: signal.signal(number, self._note) for number in _stop_signals()}
        is_ready = threading.Event()
        try:
            self._start()
            threading.Thread(target=_poll, args=(ready, is_ready), daemon=True).start()
            self._stay(is_ready, when_ready)
            self._stop()
        finally:
            self._kill_all()
            for number, handler in former.items():
                signal.signal(number, handler)
        return 1 if self._failed else 0

    def _note(self, _number: int, _frame: Any) -> None:
        self._signals += 1

    def _start(self) -> None:
        """All processes first, then the threads: a fork among threads is not safe."""
        for program in self._programs:
            process = subprocess.Popen(  # noqa: S603 (our own commands)
                program.command,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 (no thread runs yet)
            )
            self._children.append(_Child(program, process))
        for child in self._children:
            child.reader = threading.Thread(target=self._read, args=(child,), daemon=True)
            child.reader.start()

    def _read(self, child: _Child) -> None:
        output, program = child.process.stdout, child.program
        if output is None:
            return
        with output:
            for line in output:
                if not program.unimportant or program.unimportant not in line:
                    self._lines.put((program.name, line))

    def _stay(self, is_ready: threading.Event, when_ready: Callable[[], None]) -> None:
        announced = False
        while not self._signals:
            self._print_lines(TICK_SECONDS)
            ended = [child for child in self._children if child.look()]
            if ended:
                self._failed = True
                self._print_lines(0)
                self._say(*(_obituary(child) for child in ended), "Stopping the others.")
                return
            if is_ready.is_set() and not announced:
                announced = True
                when_ready()

    def _stop(self) -> None:
        """SIGTERM to all but the last ones, then to those; SIGKILL for whom it takes too long."""
        if self._signals:
            self._say("Stopping.")
        self._end([child for child in self._children if not child.program.last], PATIENCE_SECONDS)
        self._end(self._children, LAST_SECONDS)

    def _end(self, children: list[_Child], patience: float) -> None:
        signals = self._signals
        deadline = time.monotonic() + patience
        for child in children:
            if not child.ended:
                child.signal(signal.SIGTERM)
        while [child for child in children if not child.ended and not child.look()]:
            if time.monotonic() > deadline or self._signals > max(signals, 1):
                break
            self._print_lines(TICK_SECONDS / 2)
        for child in children:
            if not child.ended:
                self._say(f"{child.program.name} did not stop by itself and is killed.")
                child.signal(signal.SIGKILL)
                child.process.wait()
                child.ended = True

    def _kill_all(self) -> None:
        """Whatever happened above, nothing stays behind."""
        for child in self._children:
            if not child.ended:
                child.signal(signal.SIGKILL)
                child.process.wait()
            if child.reader:
                child.reader.join(LAST_SECONDS)
        self._print_lines(0)

    def _say(self, *sentences: str) -> None:
        for sentence in sentences:
            self._print(OWN_NAME, sentence)

    def _print_lines(self, timeout: float) -> None:
        """What has been read so far; waits so many seconds for a first line."""
        with suppress(queue.Empty):
            name, line = self._lines.get(block=timeout > 0, timeout=timeout or None)
            self._print(name, line)
            for _ in range(LINES):
                self._print(*self._lines.get_nowait())

    def _print(self, name: str, line: bytes | str) -> None:
        now = datetime.now().astimezone()
        try:
            self._printer.write(Message("line", line, now, name, self._colours.get(name)))
        except OSError:  # the terminal is gone: nobody watches, so stop
            self._signals += 1


def _poll(ready: Callable[[], bool], is_ready: threading.Event) -> None:
    while not ready():
        time.sleep(TICK_SECONDS)
    is_ready.set()


def _stop_signals() -> list[signal.Signals]:
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup(1) means it
    return [signal.SIGINT, signal.SIGTERM, *hangup]


def _obituary(child: _Child) -> str:
    code = child.process.returncode
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return f"{child.program.name} ended {how}."
