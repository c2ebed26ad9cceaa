"""Running `python -m experiments` in tests: starting it, waiting for it, and seeing that nothing stays behind."""

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import psutil

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 90.0

Start = Callable[..., Popen[str]]


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until it holds, or fail."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


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


def topology_files() -> dict[str, bytes]:
    """The tree's own topology files."""
    return {path.name: path.read_bytes() for path in (ROOT / "topology").iterdir()}
