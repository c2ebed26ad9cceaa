"""Running `python -m experiments` in tests: to its end or stopped in the middle, with nothing left behind."""

import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.harness.light import light_project
from tests.harness.processes import Process
from tests.harness.project import ROOT
from tests.harness.waiting import wait_until

DEADLINE_S = 90.0
OWNER = "STARTED_BY_TEST_IN"
"""Tells one test's processes from those of tests beside it."""


class ExperimentProcess(Process):
    """A run of an experiment with these arguments; its records go to `out`. `light`: see light.py."""

    def __init__(self, folder: Path, command: str, *arguments: str, out: str = "a", light: bool = False) -> None:
        self.out, self._command, self._folder = folder / out, command, folder
        program = ["tests.harness.light", str(light_project(folder))] if light else ["experiments"]
        words = [sys.executable, "-m", *program, command, *arguments, "--out", str(self.out)]
        super().__init__("experiment", words, folder, cwd=ROOT)

    def finish(self) -> str:
        """Waits for its good end; returns what it printed."""
        assert (self.wait(DEADLINE_S), self.errors()) == (0, "")
        return self.output()

    def wait_for(self, file: str, text: str = "") -> Path:
        """Waits until a file of the records, which may be a pattern, holds this text."""
        return wait_until(lambda: [path for path in self.out.glob(file) if text in path.read_text()], DEADLINE_S)[0]

    def interrupt(self, signum: signal.Signals) -> str:
        """Has it stopped by a signal: it says so, and where the records are; no process stays. What it printed."""
        self.signal(signum)
        said = f"experiments {self._command}: stopped by {signum.name}\n"
        assert (self.wait(DEADLINE_S), self.errors()) == (128 + signum, said)
        assert left_behind(self._folder) == []
        assert f"Records so far: {self.out}" in self.output()
        return self.output()


def still_running(folder: Path) -> list[psutil.Process]:
    """What runs of all that was started since OWNER was set to this folder in the environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(OWNER) == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def left_behind(folder: Path) -> list[str]:
    """The command lines of processes that still run, or are stopped, in a run folder: all that experiments start."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
