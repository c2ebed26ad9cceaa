"""State files as a router holds them, and what a crash leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from routing.state_file import StateFile

ROOT = Path(__file__).resolve().parents[3]
INITIAL = """{
  "predict1": {"status": true, "load": 0, "port": "9696", "region": "mine"},
  "predict2": {"status": true, "load": 0, "port": 9697},
  "predict3": {"status": false, "port": "9698"}
}"""
AT_FIRST = {"predict1": (True, 0), "predict2": (True, 0), "predict3": (False, 0)}
PROMOTED = {"predict1": (False, 0), "predict2": (True, 4), "predict3": (True, 3)}
START = """
import os, pathlib, sys
from routing.state_file import StateFile
state = StateFile(pathlib.Path(sys.argv[1]), print)
"""


@contextmanager
def in_service(path: Path, warnings: list[str], text: str | None = None) -> Iterator[StateFile]:
    """A state file as a router holds it; given up at the end as if the router had crashed."""
    state = StateFile(path, warnings.append)
    state.begin(path.read_text() if text is None else text)
    try:
        yield state
    finally:
        crash(state)


def crash(state: StateFile) -> None:
    """Lets go of the lock and leaves everything else as it is: what the kernel does when a process dies."""
    if state._lock is not None:
        os.close(state._lock)
        state._lock = None


def crashed_on(path: Path) -> None:
    """Leaves the file and its side file as a router does that is killed after a promotion."""
    with in_service(path, []) as state:
        assert state.write(PROMOTED)


def run_on(path: Path, script: str = "") -> "subprocess.CompletedProcess[str]":
    """A process that opens the file as a router does, and then does what the script says."""
    command = [sys.executable, "-c", START + script, str(path)]
    return subprocess.run(command, cwd=ROOT, timeout=30, capture_output=True, text=True)


def killed_on(path: Path) -> None:
    """Leaves the same by a process that is really killed."""
    script = f"state.begin(state.path.read_text()); state.write({PROMOTED!r}); os.kill(os.getpid(), 9)"
    assert run_on(path, script).returncode == -9


def states_in(path: Path) -> dict[str, tuple[bool, int]]:
    """Each predictor's status and load, as the file has them."""
    return {name: (entry["status"], entry["load"]) for name, entry in json.loads(path.read_text()).items()}


def files_beside(path: Path) -> set[str]:
    """The names of the other files in the folder."""
    return {file.name for file in path.parent.iterdir()} - {path.name}
