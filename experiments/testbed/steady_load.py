"""A steady load: a Locust process whose users send at moments fixed beforehand."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from experiments.results.store import REQUESTS
from experiments.testbed.deployment import Deployment
from experiments.testbed.processes import LoadProcess, wait_until_ready
from experiments.testbed.signals import StopRequest

SPAWN_RATE_PER_S, SPAWN_WITHIN_S = 100.0, 3.0
"""Users come at this rate, many of them faster. They are there before the first is due, so the pace does not matter."""

LEAD_S = 0.3
"""From go() to the first moment at which something may be due."""

FINISH_S = 16
"""How long requests in flight may finish when the load ends; beyond the clients' own timeout."""

EXIT_S = 0.5
"""How long it may take to end after an error, and beyond FINISH_S."""

LONGEST_S = 86_400.0


@dataclass(frozen=True)
class LoadPlan:
    """What one load offers."""

    kind: str
    rate_per_s: float
    pacing_s: float
    """Each user sends once in this time."""
    seed: int
    duration_s: float = LONGEST_S

    @property
    def users(self) -> int:
        """As many users as send at this rate when each sends once per pacing."""
        return max(1, round(self.rate_per_s * self.pacing_s))


class SteadyLoad(LoadProcess):
    """One load on a deployment's router: started, ready, sending from go() on, ended with its context."""

    def __init__(self, deployment: Deployment, plan: LoadPlan, name: str = "") -> None:
        """Starts the process. `name` sets an extra load's files apart from those of the run's steady load."""
        folder = deployment.folder
        self._records = folder / (f"requests.{name}.csv" if name else REQUESTS)
        self._go = folder / "logs" / f"go{name and '-'}{name}"
        self._go.unlink(missing_ok=True)
        options = {
            "--locustfile": deployment.programs.steady,
            "--host": deployment.url,
            "--users": plan.users,
            "--spawn-rate": max(SPAWN_RATE_PER_S, plan.users / SPAWN_WITHIN_S),
            "--stop-timeout": f"{FINISH_S}s",
            "--run-time": f"{LONGEST_S:.0f}s",
            "--exit-code-on-error": 0,
            "--pacing": plan.pacing_s,
            "--duration": plan.duration_s,
            "--kind": plan.kind,
            "--schedule-seed": plan.seed,
            "--go": self._go,
            "--records": self._records,
            **deployment.load_options,
        }
        log = folder / "logs" / f"load{name and '-'}{name}.log"
        super().__init__(f"{plan.kind} load", ["locust", "--headless", "--only-summary"], options, log, folder)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(EXIT_S if kind is not None else FINISH_S + EXIT_S)

    def wait_until_ready(self, stop: StopRequest) -> None:
        """Waits until every user is there: then the records' file is. Raises CommandError."""
        wait_until_ready({self: self._records.is_file}, stop)

    def go(self) -> float:
        """Starts the sending; returns the epoch second of the start."""
        start_s = time.time() + LEAD_S
        part = self._go.with_name(self._go.name + ".part")
        part.write_text(f"{start_s:.6f}\n", encoding="utf-8")
        os.replace(part, self._go)
        return start_s


class SteadyLoads:
    """The loads that go on together, each on top of those before it; a context that ends them all."""

    def __init__(self, deployment: Deployment, stop: StopRequest) -> None:
        self._deployment = deployment
        self._stop = stop
        self._loads: list[SteadyLoad] = []
        self._contexts = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._contexts.__exit__(*error)

    def add(self, plan: LoadPlan, name: str = "") -> None:
        """Starts one more; it sends once all its users are there. `name` as of SteadyLoad. Raises CommandError."""
        load = self._contexts.enter_context(SteadyLoad(self._deployment, plan, name))
        self._loads.append(load)
        load.wait_until_ready(self._stop)
        load.go()

    def require_alive(self) -> None:
        """Raises CommandError when one has ended."""
        for load in self._loads:
            load.require_alive()


class ExtraLoad:
    """Load beside the steady one, one at a time: ready before a fault, sending from go() on; a context."""

    def __init__(self, deployment: Deployment, stop: StopRequest) -> None:
        self._deployment = deployment
        self._stop = stop
        self._count = 0
        self._load: SteadyLoad | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        load, self._load = self._load, None
        if load is not None:
            load.__exit__(kind)

    def prepare(self, kind: str, rate_per_s: float, duration_s: float, seed: int) -> None:
        """Starts the process and waits until its users are there. Each user sends once."""
        self._count += 1
        plan = LoadPlan(kind, rate_per_s, duration_s, seed, duration_s)
        self._load = SteadyLoad(self._deployment, plan, f"{kind}-{self._count}")
        self._load.wait_until_ready(self._stop)

    def go(self) -> None:
        """Starts the sending, and waits for its first moment."""
        if self._load is not None:
            self._stop.wait(max(0.0, self._load.go() - time.time()))

    def end(self) -> None:
        """Lets requests in flight finish, and ends the process."""
        self.__exit__(None)
