"""Several programs as one: what is printed, what ends them, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from dashboard.processes import LAST_SECONDS, PATIENCE_SECONDS
from dashboard.serve import GRACEFUL_SECONDS
from tests.programs import ROOT, Running, alive, descendants, running, wait_until

HUNG = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('hung', flush=True); time.sleep(600)"
CALM = "import time; print('calm', flush=True); time.sleep(600)"
# A program that leaves a grandchild behind when it dies.
PARENT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('parent', flush=True); time.sleep({seconds})"
)
FAILS = "import sys, time; time.sleep(0.5); print('dying words', flush=True); sys.exit(3)"


def _supervisor(tmp_path: Path, patience: float = PATIENCE_SECONDS, **programs: str) -> list[str]:
    """A program that runs these: name -> Python source; `patience` in seconds as it gives hung ones."""
    script = tmp_path / "supervisor.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from dashboard import processes\n"
        "from dashboard.processes import Processes, Program\n"
        f"processes.PATIENCE_SECONDS = {patience}\n"
        f"programs = [Program(name, (sys.executable, '-c', code)) for name, code in {programs!r}.items()]\n"
        "sys.exit(Processes(programs).run(lambda: True, lambda: print('ready', flush=True)))\n"
    )
    return [sys.executable, str(script)]


def _all_gone(pids: list[int]) -> None:
    wait_until(lambda: not any(alive(pid) for pid in pids), "every process to be gone")


def _stop(program: Running, number: signal.Signals) -> int:
    program.process.send_signal(number)
    return program.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_them(tmp_path: Path, number: signal.Signals) -> None:
    with running(_supervisor(tmp_path, one=CALM, two=CALM), dict(os.environ)) as program:
        program.has_said("ready")
        wait_until(lambda: program.output().count("calm") == 2, "both to speak")
        children = descendants(program.pid)
        assert _stop(program, number) == 0
    assert len(children) == 2
    _all_gone(children)


def test_each_line_has_its_name(tmp_path: Path) -> None:
    with running(_supervisor(tmp_path, one=CALM, other=CALM), dict(os.environ)) as program:
        program.has_said("one       | calm")
        program.has_said("other     | calm")


def test_the_longest_stop_takes_less_than_5_s() -> None:
    assert GRACEFUL_SECONDS < PATIENCE_SECONDS
    assert PATIENCE_SECONDS + LAST_SECONDS < 4.5  # the rest is for the machine


def test_a_hung_one_is_killed(tmp_path: Path) -> None:
    with running(_supervisor(tmp_path, hung=HUNG, calm=CALM), dict(os.environ)) as program:
        program.has_said("| hung")
        children = descendants(program.pid)
        assert _stop(program, signal.SIGINT) == 0
    assert "hung did not stop by itself and is killed." in program.output()
    _all_gone(children)


def test_all_hung_are_killed(tmp_path: Path) -> None:
    with running(_supervisor(tmp_path, one=HUNG, two=HUNG), dict(os.environ)) as program:
        wait_until(lambda: program.output().count("| hung") == 2, "both to hang")
        children = descendants(program.pid)
        assert _stop(program, signal.SIGTERM) == 0
    _all_gone(children)


def test_when_one_ends_all_end(tmp_path: Path) -> None:
    with running(_supervisor(tmp_path, fails=FAILS, calm=CALM), dict(os.environ)) as program:
        program.has_said("| calm")
        children = descendants(program.pid)
        assert program.end() == 1
    assert "dying words" in program.output()
    assert "fails ended with exit code 3." in program.output()
    _all_gone(children)


def test_the_children_of_one_that_ended_are_ended_too(tmp_path: Path) -> None:
    programs = _supervisor(tmp_path, parent=PARENT.format(seconds=1), calm=CALM)
    with running(programs, dict(os.environ)) as program:
        program.has_said("| parent")
        children = descendants(program.pid)
        assert program.end() == 1
    assert len(children) == 3
    _all_gone(children)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    with running(_supervisor(tmp_path, patience=600, hung=HUNG), dict(os.environ)) as program:
        program.has_said("| hung")
        program.process.send_signal(signal.SIGINT)
        program.has_said("Stopping.")
        program.process.send_signal(signal.SIGINT)
        assert program.end() == 0
    assert "killed" in program.output()


def test_none_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with running(_supervisor(tmp_path, hung=HUNG, calm=CALM), dict(os.environ)) as program:
        program.has_said("| hung")
        children = descendants(program.pid)
        os.kill(program.pid, signal.SIGKILL)
        program.end()
    assert len(children) == 2
    _all_gone(children)
