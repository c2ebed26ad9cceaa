"""The programs that a benchmark needs and starts: HAProxy, wrk, and the project's own; their CPU time and memory."""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import psutil
import requests

from cli import UsageError
from experiments.results.folders import PROJECT
from experiments.testbed.processes import Child, stop_all, wait_until_ready
from experiments.testbed.signals import StopRequest

MIB = 1024 * 1024


def require(*names: str) -> None:
    """Raise UsageError where one of these programs is missing."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not found: install with: apt-get install {' '.join(missing)}")


def version_of(command: Sequence[str]) -> str:
    """The version in what a program prints of itself."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\d+\.\d+[^\s,]*", ended.stdout + ended.stderr)
    return found[0] if found else "unknown"


class Programs:
    """Processes that a benchmark has started; all of them end with the block."""

    def __init__(self, folder: Path, stop: StopRequest) -> None:
        self.folder = folder
        self.stop = stop
        self._children: list[Child] = []
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stop_all(self._children)
        self._ends.close()

    def run(self, name: str, argv: Sequence[str]) -> Child:
        """Start a program. Raises CommandError."""
        child = Child(name, argv, self.folder / f"{name}.log", PROJECT)
        self._children.append(child)
        return child

    def start(self, name: str, argv: Sequence[str], url: str) -> Child:
        """Start a program and wait until it answers at this URL. Raises CommandError."""
        child = self.run(name, argv)
        wait_until_ready({child: _answers(url)}, self.stop)
        return child


def _answers(url: str) -> Callable[[], bool]:
    def ready() -> bool:
        with suppress(requests.RequestException), requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=1.0).status_code == 200
        return False

    return ready


def cpu_s(pid: int) -> float:
    """User and system time of the process and its descendants."""
    return sum(sum(process.cpu_times()[:2]) for process in _tree(pid))


def pss_mib(pid: int) -> float:
    """Proportional set size of the process and its descendants; RSS where the system does not tell."""
    total = 0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            try:
                total += process.memory_full_info().pss
            except (psutil.AccessDenied, AttributeError):
                total += process.memory_info().rss
    return total / MIB


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []
