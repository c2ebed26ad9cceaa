"""The programs that a benchmark needs and starts: HAProxy, wrk, and the project's own; their CPU time and memory."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import requests

from cli import UsageError
from experiments.results.folders import PROJECT
from experiments.testbed.processes import Child, stop_all, wait_until_ready
from experiments.testbed.signals import StopRequest

MIB = 1024 * 1024
HAPROXY_BASE = """global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 1s
    timeout http-keep-alive 60s
"""


def require(*names: str) -> None:
    """Raises UsageError where one of these programs is missing."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not found: install with: apt-get install {' '.join(missing)}")


def version_of(command: Sequence[str]) -> str:
    """Returns the version in what a program prints of itself; "unknown" without one."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\d+\.\d+[^\s,]*", ended.stdout + ended.stderr)
    return found[0] if found else "unknown"


@dataclass(frozen=True)
class Server:
    """A server that runs: where it answers predictions, and its process."""

    url: str
    pid: int


def python(*words: object) -> list[str]:
    """Returns the command line of this Python with these words."""
    return [sys.executable, *map(str, words)]


class Programs:
    """Processes that a benchmark has started; all of them end with the block."""

    def __init__(self, folder: Path, stop: StopRequest) -> None:
        self.folder = folder
        self.stop = stop
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stop_all(self._children)

    def start(self, name: str, argv: Sequence[str]) -> Child:
        """Starts a program. Raises CommandError."""
        child = Child(name, argv, self.folder / f"{name}.log", PROJECT)
        self._children.append(child)
        return child

    def serve(self, name: str, argv: Sequence[str], port: int, ready: str = "/health") -> Server:
        """Starts a server and waits until it answers on its port at the path `ready`. Raises CommandError."""
        child = self.start(name, argv)
        wait_until_ready({child: _answers(f"http://127.0.0.1:{port}{ready}")}, self.stop)
        return Server(f"http://127.0.0.1:{port}/predict", child.pid)

    def serve_haproxy(self, name: str, config: str, port: int) -> Server:
        """Starts HAProxy with the common head and this configuration. Raises CommandError."""
        path = self.folder / f"{name}.cfg"
        path.write_text(f"{HAPROXY_BASE}{config}", encoding="utf-8")
        return self.serve(name, ["haproxy", "-db", "-f", str(path)], port)


def _answers(url: str) -> Callable[[], bool]:
    def ready() -> bool:
        with suppress(requests.RequestException), requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=1.0).status_code == 200
        return False

    return ready


def cpu_s(pid: int) -> float:
    """Returns user and system time of the process and its descendants."""
    return sum(sum(process.cpu_times()[:2]) for process in _tree(pid))


def pss_mib(pid: int) -> float:
    """Returns the proportional set size of the process and its descendants; RSS where the system has no PSS."""
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
