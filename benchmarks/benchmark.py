"""What every benchmark shares: its options, its run, the programs that it starts, their CPU time and memory."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from benchmarks.records import RunFolder
from cli import Parser, UsageError, number_reader, whole_number
from experiments.results.folders import PROJECT
from experiments.testbed.ports import free_ports
from experiments.testbed.processes import Child, stop_all, wait_until_ready
from experiments.testbed.signals import StopRequest, stop_on_signals

MAX_LENGTH_S = 600
PORT = "{port}"
"""Stands for the port of a server in its command line."""

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

length_s = number_reader(float, lambda value: 0 < value <= MAX_LENGTH_S, f"seconds, above 0 and at most {MAX_LENGTH_S}")


def new_parser(name: str, text: str, seconds: float | None = None, repeats: int | None = None) -> Parser:
    """Returns a parser with --out, and --seconds and --repeats where a default is given."""
    command = f"python -m benchmarks {name}"
    parser = Parser(prog=command, description=text, epilog=f"example: {command}")
    out_help = "where the records go (default: results/bench-<date>)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=out_help)
    if seconds is not None:
        parser.add_argument("--seconds", type=length_s, default=seconds, help="length (default: %(default)g)")
    if repeats is not None:
        parser.add_argument("--repeats", type=whole_number, default=repeats, help="how often (default: %(default)d)")
    return parser


class SkippedError(Exception):
    """A contender cannot take part here; the text is the reason."""


@dataclass(frozen=True)
class Server:
    """A server that runs: where it answers predictions, and its process."""

    url: str
    pid: int


class Programs:
    """Processes that a benchmark has started."""

    def __init__(self, folder: Path, stop: StopRequest) -> None:
        self.folder = folder
        self.stop = stop
        self.children: list[Child] = []

    def start(self, name: str, argv: Sequence[str]) -> Child:
        """Starts a program. Raises CommandError."""
        child = Child(name, argv, self.folder / f"{name}.log", PROJECT)
        self.children.append(child)
        return child

    def serve(self, name: str, argv: Sequence[str], port: int, ready: str = "/health") -> Server:
        """Starts a server and waits until it answers on its port at the path `ready`. Raises CommandError."""
        child = self.start(name, argv)
        wait_until_ready({child: lambda: _answers(f"http://127.0.0.1:{port}{ready}")}, self.stop)
        return Server(f"http://127.0.0.1:{port}/predict", child.pid)

    def serve_python(self, name: str, *words: object, ready: str = "/health") -> Server:
        """Starts a server in Python on a free port, which stands for PORT in its words. Raises CommandError."""
        [port] = free_ports(1)
        return self.serve(name, python(*(port if word == PORT else word for word in words)), port, ready)

    def serve_haproxy(self, name: str, config: str, port: int) -> Server:
        """Starts HAProxy with the common head and this configuration. Raises CommandError."""
        path = self.folder / f"{name}.cfg"
        path.write_text(f"{HAPROXY_BASE}{config}", encoding="utf-8")
        return self.serve(name, ["haproxy", "-db", "-f", str(path)], port)


@contextmanager
def benchmark_run(out: Path | None, *required: str) -> Iterator[tuple[RunFolder, Programs]]:
    """Makes the run's folder and starts no program yet; all that are started end with the block.

    Raises UsageError where a required program is missing or the folder cannot be made.
    """
    missing = [name for name in required if shutil.which(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not found: install with: apt-get install {' '.join(missing)}")
    folder = RunFolder.make(out)
    with stop_on_signals() as stop:
        programs = Programs(folder.path, stop)
        try:
            yield folder, programs
        finally:
            stop_all(programs.children)


def python(*words: object) -> list[str]:
    """Returns the command line of this Python with these words."""
    return [sys.executable, *map(str, words)]


def version_of(command: Sequence[str]) -> str:
    """Returns the version in what a program prints of itself; "unknown" without one."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\d+\.\d+[^\s,/]*", ended.stdout + ended.stderr)
    return found[0] if found else "unknown"


def cpu_s(pid: int) -> float:
    """Returns user and system time of the process and its descendants."""
    return sum(sum(process.cpu_times()[:2]) for process in _tree(pid))


def threads(pid: int) -> int:
    """Returns how many threads the process and its descendants have now, those that wait too."""
    total = 0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += process.num_threads()
    return total


def pss_mib(pid: int) -> float:
    """Returns the proportional set size of the process and its descendants; RSS where the system has no PSS."""
    total = 0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            try:
                total += process.memory_full_info().pss
            except (psutil.AccessDenied, AttributeError):
                total += process.memory_info().rss
    return total / 2**20


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _answers(url: str) -> bool:
    with suppress(requests.RequestException), requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=1.0).status_code == 200
    return False
