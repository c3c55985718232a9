"""Real processes for tests: `cachedeck ...` started as a user would, its output kept, its descendants known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120.0  # what must come, comes at once on a quiet machine; a busy one may stall for seconds
CACHEDECK = (sys.executable, "-m", "dashboard")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Look again and again; fail with `what` when it has not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)


def environment(data: Path, **more: str) -> dict[str, str]:
    """This process's environment without any setting of Cachedeck, plus a data folder and those given.

    Caches that say no time-out get a long one, as those in this process do (tests/conftest.py).
    """
    if "CACHEDECK_CACHES" in more:
        more["CACHEDECK_CACHES"] = patient(more["CACHEDECK_CACHES"])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CACHEDECK_", "DEMO_"))}
    kept.pop("PORT", None)
    ours = {"PYTHONPATH": str(ROOT), "CACHEDECK_DATA": str(data), "CACHEDECK_WALK_LATENCY_MS": "10000"}
    return {**kept, **ours, **more}


def patient(caches: str) -> str:
    """Caches as given, with time-outs of a minute where they say none."""
    found = []
    for cache in caches.split():
        said = cache.partition("?")[2].split("&")
        lacking = {"timeout", "connect_timeout"} - {option.partition("=")[0] for option in said}
        more = "&".join(f"{name}=60" for name in sorted(lacking))
        found.append(f"{cache}{'&' if '?' in cache else '?'}{more}" if more else cache)
    return " ".join(found)


@dataclass
class Running:
    """One started program. `output()` is what it has written so far, both streams together."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            self.lines.extend(iter(output.readline, ""))

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return "".join(self.lines)

    def has_said(self, text: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait for a text in the output and give the whole output."""
        wait_until(lambda: text in self.output() or self.process.poll() is not None, text, seconds)
        assert text in self.output(), f"ended without {text!r}: {self.output()}"
        return self.output()

    def end(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and give its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(PATIENCE_SECONDS)
        return code


@contextmanager
def running(arguments: Sequence[str], env: dict[str, str], cwd: Path | None = None) -> Iterator[Running]:
    """A program for one block; afterwards it is killed with all that it has started."""
    process = subprocess.Popen(
        arguments,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    program = Running(process)
    try:
        yield program
    finally:
        left = [process.pid, *descendants(process.pid)] if process.poll() is None else []
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        program.end()


def descendants(pid: int) -> list[int]:
    """All living children, their children and so on, from /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = entry.read_text().rpartition(")")[2].split()
            if after_name[0] != "Z":
                parents[int(entry.parent.name)] = int(after_name[1])
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_lines() -> str:
    """Every command line on this machine, as `ps` would show them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)


def status(url: str, headers: dict[str, str] | None = None) -> int:
    """The status of a GET, redirects followed; 0 where nobody answers."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0
