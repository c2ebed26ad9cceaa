"""Runs the points of a blocking check: each a deployment of its own, to which a generator offers Poisson arrivals."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cli import CommandError
from experiments.blocking.progress import Tail, ended_text
from experiments.blocking.records import BlockingSettings, Point, read_point
from experiments.results.store import REQUESTS, RUN, write_json
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.parallel import ParallelRunner
from experiments.testbed.processes import Child
from experiments.testbed.progress import Display, ProgressBoard, RunProgress
from experiments.testbed.signals import StopRequest, stop_on_signals
from experiments.testbed.topologies import Topology, find_topology

CAPACITY = 10
"""Slots of each predictor."""

START, REQUESTS_STEP = "start", "requests"
EXPECTED_START_S = 8.0

LOOK_EVERY_S = 0.2
OVERHEAD_S = 60.0
"""What the generator may take beyond its schedule before it counts as stuck."""


@dataclass(frozen=True)
class Check:
    """What is run, and the run folder for its records."""

    settings: BlockingSettings
    programs: Programs
    folder: Path


def run_points(
    settings: BlockingSettings, points: Sequence[Point], programs: Programs, folder: Path, console: Console
) -> None:
    """Offers every load and leaves the records in the folder. Raises CommandError."""
    check = Check(settings, programs, folder)
    points = sorted(points, key=_schedule_s, reverse=True)  # the longest first: none is left over at the end
    at_once = check.settings.at_once
    progresses = [RunProgress(_name(p), [(START, EXPECTED_START_S), (REQUESTS_STEP, _schedule_s(p))]) for p in points]
    board = ProgressBoard(progresses, at_once)
    with stop_on_signals() as stop, Display(console, board) as display:
        ParallelRunner(points, at_once, lambda point: _run_point(check, point, stop, board), stop).run(display.refresh)


def _run_point(check: Check, point: Point, stop: StopRequest, board: ProgressBoard) -> None:
    """One point, on a rig of its own."""
    folder = check.folder / _name(point)
    folder.mkdir()
    board.step(folder.name, START)
    settings = DeploymentSettings(check.settings.service_time_s, CAPACITY)
    with Deployment(_topology(point, check.programs), check.programs, settings, folder) as deployment:
        deployment.start(stop)
        board.step(folder.name, REQUESTS_STEP)
        _offer(deployment, check.programs, point, folder, stop, board)
    write_json(folder / RUN, point)
    board.end(folder.name, ended_text(read_point(folder)))


def _name(point: Point) -> str:
    """The point's name, which is its folder's."""
    return f"{point.slots}-slots-{point.aimed_blocking * 100:02.0f}"


def _schedule_s(point: Point) -> float:
    """How long its arrivals take to come."""
    return (point.warm_up_arrivals + point.arrivals) / point.rate_per_s


def _offer(
    deployment: Deployment, programs: Programs, point: Point, folder: Path, stop: StopRequest, board: ProgressBoard
) -> None:
    """Run the generator to its end. Raises CommandError when a process ends or the generator gets stuck."""
    load = Child(
        "generator", _command_of_load(deployment, point, folder), folder / "logs" / "generator.log", programs.root
    )
    limit_s = 2 * _schedule_s(point) + OVERHEAD_S
    deadline = time.monotonic() + limit_s
    tail = Tail(folder / REQUESTS)
    try:
        while not load.has_ended():
            deployment.require_alive()
            board.tell(folder.name, tail.text(point))
            stop.wait(LOOK_EVERY_S)
            if time.monotonic() > deadline:
                raise CommandError(f"generator has not ended after {limit_s:.0f} s\n{load.tail()}")
        deployment.require_alive()
    finally:
        load.stop()
    if load.exit_status != 0:
        raise CommandError(f"generator ended with exit status {load.exit_status}\n{load.tail()}")


def _command_of_load(deployment: Deployment, point: Point, folder: Path) -> list[str]:
    options = {
        "--url": f"{deployment.url}/predict",
        "--rate": repr(point.rate_per_s),
        "--arrivals": str(point.warm_up_arrivals + point.arrivals),
        "--seed": str(point.seed),
        "--records": str(folder / REQUESTS),
    }
    words = [word for pair in options.items() for word in pair]
    return [sys.executable, "-m", "experiments.blocking.poisson_load", *words]


def _topology(point: Point, programs: Programs) -> Topology:
    """Only actives, as many of 3active's as have these slots: a standby's coming and going is not looked at here."""
    document = find_topology("3active", programs.topologies).document
    return Topology(f"{len(point.capacities)}active", {name: document[name] for name in point.capacities})
