"""A benchmark's raw records in its run folder, and reading them back. What the figures mean is in report.py."""

import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cli import UsageError
from experiments.results.environment import describe_machine, describe_versions
from experiments.results.folders import PROJECT

MACHINE = "machine.json"
MEASUREMENTS = "throughput.jsonl"
TARGETS = "targets.jsonl"
CLIENTS = "clients.jsonl"
CONNECTIONS = (1, 8, 64)
LOADS = (*(("POST", number) for number in CONNECTIONS), ("GET", 8))
"""Method and connections of each kind of load in the comparison."""

THREADS = "threads"
"""The section of MACHINE that a run of routers alone has: router -> its threads, in the order of the tables."""


@dataclass(frozen=True)
class Measurement:
    """One burst of wrk against one contender."""

    contender: str
    method: str
    connections: int
    repeat: int
    seconds: float
    requests: int
    errors: int
    """Answers that were not 2xx or 3xx, and connections that failed."""
    p50_ms: float
    p99_ms: float
    cpu_s: float
    """CPU time of the contender's processes during the burst; of the stubs where there is no contender."""
    pss_mib: float
    """Proportional set size of its processes after the burst."""

    @property
    def rate_per_s(self) -> float:
        """Good answers per second."""
        return (self.requests - self.errors) / self.seconds

    @property
    def cores(self) -> float:
        """How many cores the contender's processes kept busy."""
        return self.cpu_s / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of the contender's processes per request, in microseconds."""
        return self.cpu_s / max(1, self.requests) * 1e6


@dataclass(frozen=True)
class Target:
    """One figure beside what was to be reached."""

    name: str
    figure: str
    target: str
    reached: bool
    command: str


class RunFolder:
    """A run's folder; several benchmarks may add their records to one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, out: Path | None) -> "RunFolder":
        """Makes the folder, or takes an earlier benchmark's; notes machine and versions. Raises UsageError."""
        path = out or PROJECT / "results" / f"bench-{datetime.now():%Y%m%d-%H%M%S}"
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path}: cannot be made: {error.strerror}; give another with --out") from error
        if not (path / MACHINE).exists():
            cls(path)._write_about({"machine": describe_machine(), "versions": describe_versions(PROJECT)})
        return cls(path.resolve())

    def note(self, section: str, name: str, text: str) -> None:
        """Adds to what is known of the run: to "versions" a program's, to "skipped" why a contender was left out.

        To THREADS how many a router has.
        """
        about = self.about()
        about.setdefault(section, {})[name] = text
        self._write_about(about)

    def about(self) -> dict[str, Any]:
        """Returns the machine, the versions and what was skipped. Raises UsageError where no run stands."""
        try:
            about: dict[str, Any] = json.loads((self.path / MACHINE).read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{self.path}: no run of a benchmark stands there ({MACHINE} is missing)") from error
        return about

    def require_unmeasured(self) -> None:
        """Raises UsageError where measurements stand there: a name of one run is another server in the next."""
        if (self.path / MEASUREMENTS).exists():
            raise UsageError(f"{self.path}: {MEASUREMENTS} of another run stands there: give another folder with --out")

    def add(self, measurement: Measurement) -> None:
        """Appends one measurement."""
        self._append(MEASUREMENTS, asdict(measurement))

    def add_target(self, target: Target) -> None:
        """Appends one figure, and prints it."""
        self._append(TARGETS, asdict(target))
        print(f"{target.name}: {target.figure} (target: {target.target}): {'reached' if target.reached else 'MISSED'}")

    def add_way(self, way: str, repeat: int, rate_per_s: float) -> None:
        """Appends the rate of one way of forwarding."""
        self._append(CLIENTS, {"way": way, "repeat": repeat, "requests_per_s": rate_per_s})

    def measurements(self) -> list[Measurement]:
        """Returns all measurements, oldest first."""
        return [Measurement(**record) for record in self._records(MEASUREMENTS)]

    def targets(self) -> list[Target]:
        """Returns the latest figure of each name."""
        return list({record["name"]: Target(**record) for record in self._records(TARGETS)}.values())

    def ways(self) -> dict[str, list[float]]:
        """Returns requests per second of each way of forwarding, one figure per repeat."""
        rates: dict[str, list[float]] = {}
        for record in self._records(CLIENTS):
            rates.setdefault(record["way"], []).append(record["requests_per_s"])
        return rates

    def _write_about(self, about: dict[str, Any]) -> None:
        (self.path / MACHINE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def _append(self, name: str, record: dict[str, Any]) -> None:
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def _records(self, name: str) -> list[dict[str, Any]]:
        path = self.path / name
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def progress(text: str) -> None:
    """Shows where a long benchmark stands, on stderr; a terminal's line is overwritten."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
