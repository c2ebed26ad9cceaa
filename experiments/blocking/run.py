"""Runs the points of a blocking check: each a deployment of its own, to which a generator offers Poisson arrivals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cli import CommandError
from experiments.blocking.progress import Tail, ended_text
from experiments.blocking.records import BlockingSettings, Point, read_point
from experiments.results.store import REQUESTS, RUN, write_json
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.parallel import Job, run_jobs
from experiments.testbed.processes import LoadProcess
from experiments.testbed.progress import RunProgress
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import Topology, find_topology

CAPACITY = 10
"""Slots of each predictor."""

START, REQUESTS_STEP = "start", "requests"
EXPECTED_START_S = 8.0


def run_points(
    settings: BlockingSettings, points: Sequence[Point], programs: Programs, folder: Path, console: Console
) -> None:
    """Offers every load and leaves the records in the folder. Raises CommandError."""
    runs = [PointRun(folder / _name(point), settings, point, programs) for point in points]
    runs.sort(key=lambda run: run.schedule_s, reverse=True)  # the longest first: none is left over at the end
    run_jobs(runs, settings.at_once, console)


def _name(point: Point) -> str:
    return f"{point.slots}-slots-{point.aimed_blocking * 100:02.0f}"


@dataclass(frozen=True)
class PointRun(Job):
    """One point, on a deployment of its own."""

    settings: BlockingSettings
    point: Point
    programs: Programs

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
        settings = DeploymentSettings(self.settings.service_time_s, CAPACITY)
        with Deployment(self._topology(), self.programs, settings, self.folder) as deployment:
            deployment.start(stop)
            progress.begin(REQUESTS_STEP)
            self._offer(deployment, stop, progress)
        write_json(self.folder / RUN, self.point)
        return ended_text(read_point(self.folder))

    def _offer(self, deployment: Deployment, stop: StopRequest, progress: RunProgress) -> None:
        """Runs the generator to its end. Raises CommandError when a process ends or the generator gets stuck."""
        tail = Tail(self.folder / REQUESTS)

        def check() -> None:
            deployment.require_alive()
            progress.update(tail.text(self.requests))

        with self._start_generator(deployment) as generator:
            generator.wait_until_ended(2 * self.schedule_s, check, stop)
        if generator.exit_status != 0:
            raise CommandError(f"generator ended with exit status {generator.exit_status}\n{generator.tail()}")

    def _start_generator(self, deployment: Deployment) -> LoadProcess:
        options = {
            "--url": f"{deployment.url}/predict",
            "--rate": repr(self.point.rate_per_s),
            "--arrivals": self.requests,
            "--seed": self.point.seed,
            "--records": self.folder / REQUESTS,
        }
        log = self.folder / "logs" / "generator.log"
        return LoadProcess("generator", ["experiments.blocking.poisson_load"], options, log, self.programs.root)

    def _topology(self) -> Topology:
        """Only actives, as many of 3active's as have these slots: promotions are not looked at here."""
        document = find_topology("3active", self.programs.topologies).document
        names = self.point.capacities
        return Topology(f"{len(names)}active", {name: document[name] for name in names})
