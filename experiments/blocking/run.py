"""Runs the points of a blocking check: each a deployment of its own, to which a generator offers Poisson arrivals."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cli import CommandError
from experiments.blocking.records import BlockingSettings, Point, read_point
from experiments.results.store import REQUESTS, RUN, RowReader, write_json
from experiments.testbed.chosen_routers import ChosenDeployment, ChosenRouter
from experiments.testbed.deployment import Deployment
from experiments.testbed.parallel import Job, run_jobs
from experiments.testbed.processes import LoadProcess
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.progress import RunProgress
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import Topology, find_topology

CAPACITY = 10
"""Slots of each predictor, where neither its entry nor its server file gives another number."""

ACTIVES = "3active"
"""The topology whose predictors are used where none is named."""

START, REQUESTS_STEP = "start", "requests"
EXPECTED_START_S = 8.0

GENERATORS_START_IN_S = 3.0
"""Generators that begin together are started this long before: by then each has come to rest, on a busy machine too."""

DEPLOYMENTS_DIFFER_BY_S = 200.0
"""No deployment waits longer for those that begin with it; their own limit, READY_WITHIN_S, is shorter."""


def run_points(
    settings: BlockingSettings,
    points: Sequence[Point],
    deployments: Mapping[str, ChosenDeployment],
    router: ChosenRouter,
    programs: Programs,
    folder: Path,
    console: Console,
) -> None:
    """Offers every load and leaves the records in the folder. Raises CommandError.

    `deployments`: those that the points name; all of them get a load at the same moments, side by side, or where fewer
    runs go at once, one after the other by the same schedule. `router`: of points of numbers of slots.
    """
    together = settings.at_once >= len(deployments)  # else they take turns
    starts = {point.rate_per_s: CommonStart(len(deployments)) for point in points if point.topology and together}
    runs = []
    for point in points:
        chosen = deployments.get(point.topology) or of_slots(point, router, programs)
        name = chosen.folder if point.topology else f"{point.slots}-slots"
        part = folder / f"{name}-{point.aimed_blocking * 100:02.0f}"
        runs.append(PointRun(part, settings, point, chosen, programs, starts.get(point.rate_per_s)))
    runs.sort(key=lambda run: run.schedule_s, reverse=True)  # the longest first: none is left over at the end
    run_jobs(runs, settings.at_once, console)


def of_slots(point: Point, router: ChosenRouter, programs: Programs) -> ChosenDeployment:
    """As many of 3active's predictors as have the point's slots, behind that router: promotions play no part."""
    document = find_topology(ACTIVES, programs.topologies).document
    names = point.capacities
    topology = Topology(f"{len(names)}active", {name: document[name] for name in names})
    return ChosenDeployment(topology.name, topology, router, {})


class CommonStart:
    """The moment at which several generators begin: soon after the last of their deployments serves."""

    def __init__(self, parties: int) -> None:
        self._missing = parties
        self._lock = threading.Lock()
        self._at_s: float | None = None

    def wait(self, stop: StopRequest) -> float:
        """Waits for the other parties; returns the moment, an epoch, to each the same. Raises CommandError."""
        with self._lock:
            self._missing -= 1
            if self._missing == 0:
                self._at_s = time.time() + GENERATORS_START_IN_S
        stop.wait_until(lambda: self._at_s is not None, DEPLOYMENTS_DIFFER_BY_S)
        if self._at_s is None:
            raise CommandError(f"another topology's deployment was not up within {DEPLOYMENTS_DIFFER_BY_S:g} s")
        return self._at_s


@dataclass(frozen=True)
class PointRun(Job):
    """One point, on a deployment of its own."""

    settings: BlockingSettings
    point: Point
    chosen: ChosenDeployment
    programs: Programs
    start: CommonStart | None = None
    """With the generators of other topologies; None: on its own."""

    @property
    def requests(self) -> int:
        """All that are sent, those of the warm-up included."""
        return self.point.warm_up_arrivals + self.point.arrivals

    @property
    def schedule_s(self) -> float:
        """How long its arrivals take to come."""
        return self.requests / self.point.rate_per_s

    def steps(self) -> list[tuple[str, float]]:
        """Start and requests."""
        return [(START, EXPECTED_START_S), (REQUESTS_STEP, self.schedule_s)]

    def run(self, stop: StopRequest, progress: RunProgress) -> str:
        """Starts the deployment and offers the load; returns how much was refused. Raises CommandError."""
        progress.begin(START)
        asked = self.settings
        settings = DeploymentSettings(
            asked.service_time_s,
            (asked.server and asked.server.capacity) or CAPACITY,
            router=self.chosen.router,
            server=self.programs.server,
            held_s=asked.holding_time_s,
        )
        with Deployment(self.chosen.topology, self.programs, settings, self.folder, tell=progress.say) as deployment:
            deployment.start(stop)
            start_at = {"--start-at": repr(self.start.wait(stop))} if self.start else {}
            progress.begin(REQUESTS_STEP)
            self._offer(deployment, start_at, stop, progress)
        write_json(self.folder / RUN, self.point)
        arrivals = read_point(self.folder).counted
        return f"{sum(arrival.failed for arrival in arrivals)} of {len(arrivals)} refused"

    def _offer(
        self, deployment: Deployment, start_at: Mapping[str, str], stop: StopRequest, progress: RunProgress
    ) -> None:
        """Runs the generator to its end. Raises CommandError when a process ends or the generator gets stuck."""
        tail = Tail(self.folder / REQUESTS)

        def check() -> None:
            deployment.require_alive()
            progress.update(tail.text(self.requests))

        options = {
            "--url": f"{deployment.url}{deployment.server.path}",
            "--rate": repr(self.point.rate_per_s),
            "--arrivals": self.requests,
            "--seed": self.point.seed,
            "--records": self.folder / REQUESTS,
            **start_at,
            **deployment.load_options,
        }
        log = self.folder / "logs" / "generator.log"
        module = "experiments.blocking.poisson_load"
        with LoadProcess("generator", [module], options, log, self.programs.root) as generator:
            generator.wait_until_ended(2 * self.schedule_s, check, stop)
        if generator.exit_status != 0:
            raise CommandError(f"generator ended with exit status {generator.exit_status}\n{generator.tail()}")


class Tail:
    """Counts the rows of a CSV file of requests that grows: all, and those whose reason is not empty."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self.failed_rows = 0
        self._reader = RowReader(path)
        self._head: list[str] = []

    def read(self) -> None:
        """Counts the whole rows that have come since the last call; none while there is no file."""
        rows = self._reader.read()
        self._head = self._head or next(rows, [])
        for row in rows:
            self.rows += 1
            self.failed_rows += row[self._head.index("reason")] != ""

    def text(self, requests: int) -> str:
        """How many of the point's requests are recorded, and the share of them that was refused."""
        self.read()
        share = f", {100 * self.failed_rows / self.rows:.1f} % refused" if self.rows else ""
        return f"{self.rows} of {requests} requests{share}"
