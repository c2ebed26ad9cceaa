"""The load of a failover run: Locust processes whose users send at moments fixed beforehand."""

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from experiments.failover.records import NORMAL
from experiments.results.store import REQUESTS
from experiments.testbed.processes import Child, require_alive, wait_until_ready
from experiments.testbed.signals import StopRequest

SPAWN_RATE_PER_S = 100
"""Users are there before the first is due, so the pace at which they come does not matter."""

LEAD_S = 0.3
"""From the word to go to the first moment at which something may be due."""

FINISH_S = 16
"""How long requests in flight may finish when the load ends; beyond the clients' own patience."""

HURRY_S = 0.5
LONGEST_S = 86_400.0


@dataclass(frozen=True)
class LoadPlan:
    """What one load offers."""

    kind: str
    rate_per_s: float
    pacing_s: float
    duration_s: float
    seed: int

    @property
    def users(self) -> int:
        """As many users as send at this rate when each sends once per pacing."""
        return max(1, round(self.rate_per_s * self.pacing_s))


class SteadyLoad:
    """One load: prepared, let go, ended; a context that leaves no process."""

    def __init__(self, url: str, steady: Path, plan: LoadPlan, folder: Path, name: str = "") -> None:
        """`name` tells further loads of the run from the steady one in the names of files."""
        self._records = folder / (f"requests.{name}.csv" if name else REQUESTS)
        self._go = folder / "logs" / f"go{name and '-'}{name}"
        log = folder / "logs" / f"load{name and '-'}{name}.log"
        self._go.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "locust", *_options(url, steady, plan, self._go, self._records)]
        self._child = Child(f"{plan.kind} load", argv, log, cwd=folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.stop(HURRY_S if kind is not None else FINISH_S + HURRY_S)

    def wait_until_ready(self, stop: StopRequest) -> None:
        """Wait until every user is there: the records' file says so. Raises CommandError."""
        wait_until_ready({self._child: self._records.is_file}, stop)

    def go(self) -> float:
        """Let the users send; the return is the epoch second of the start."""
        start_s = time.time() + LEAD_S
        part = self._go.with_name(self._go.name + ".part")
        part.write_text(f"{start_s:.6f}\n", encoding="utf-8")
        os.replace(part, self._go)
        return start_s

    def require_alive(self) -> None:
        """Raise CommandError when it has ended by itself."""
        require_alive([self._child])


class FurtherLoad:
    """A load beside the steady one, for one fault at a time: the ExtraLoad of the faults."""

    def __init__(self, url: str, steady: Path, folder: Path, seed: int, stop: StopRequest) -> None:
        self._make = (url, steady, folder, seed)
        self._stop = stop
        self._count = 0
        self._load: SteadyLoad | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._load is not None:
            self._load.__exit__(kind, error, trace)

    def prepare(self, kind: str, rate_per_s: float, duration_s: float) -> None:
        """Start the processes and wait until their users are there. Each user sends once."""
        url, steady, folder, seed = self._make
        self._count += 1
        plan = LoadPlan(kind, rate_per_s, duration_s, duration_s, seed + self._count)
        self._load = SteadyLoad(url, steady, plan, folder, f"{kind}-{self._count}")
        self._load.wait_until_ready(self._stop)

    def go(self) -> None:
        """Let the users send, and wait for the moment."""
        if self._load is not None:
            self._stop.wait(max(0.0, self._load.go() - time.time()))

    def end(self) -> None:
        """See what is in flight finished, and the processes gone."""
        load, self._load = self._load, None
        if load is not None:
            load.__exit__(None, None, None)


def _options(url: str, steady: Path, plan: LoadPlan, go: Path, records: Path) -> list[str]:
    values = {
        "--locustfile": steady,
        "--host": url,
        "--users": plan.users,
        "--spawn-rate": SPAWN_RATE_PER_S,
        "--stop-timeout": f"{FINISH_S}s",
        "--run-time": f"{math.ceil(LONGEST_S)}s",
        "--exit-code-on-error": 0,
        "--pacing": plan.pacing_s,
        "--duration": plan.duration_s,
        "--kind": plan.kind,
        "--schedule-seed": plan.seed,
        "--go": go,
        "--records": records,
    }
    return ["--headless", "--only-summary", *(text for name, value in values.items() for text in (name, str(value)))]


def steady_plan(rate_per_s: float, pacing_s: float, seed: int) -> LoadPlan:
    """The load that goes on for the whole run."""
    return LoadPlan(NORMAL, rate_per_s, pacing_s, LONGEST_S, seed)
