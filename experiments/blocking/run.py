"""`python -m experiments blocking`: offers Poisson arrivals to the router; the refused share beside Erlang B."""

import argparse
import math
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from rich.console import Console

from cli import CommandError, Parser, UsageError, whole_number
from experiments.blocking.progress import Tail, ended_text
from experiments.blocking.records import BLOCKING, Point, Settings, read_point
from experiments.experiment import run_experiment
from experiments.options import service_time_s
from experiments.results.environment import describe_machine, describe_versions
from experiments.results.folders import PROJECT, new_folder
from experiments.results.store import REQUESTS, RUN, write_json
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.parallel import ParallelRunner
from experiments.testbed.processes import Child
from experiments.testbed.progress import Display, ProgressBoard, RunProgress
from experiments.testbed.signals import StopRequest, stop_on_signals
from experiments.testbed.topologies import Topology, find_topology
from experiments.theory.erlang import erlangs_at_blocking
from experiments.theory.intervals import warm_up_arrivals

SLOTS = (10, 20, 30)
BLOCKING_AIMED = (0.01, 0.05, 0.20)
CAPACITY = 10
"""Slots of each predictor."""

SERVICE_TIME_S = 1.0
ARRIVALS = 2_000
MOST_RATE_PER_S = 400.0
"""What router, predictors and generator carry on two cores without getting in each other's way."""

EASY_RATE_PER_S = 200.0
"""Points go side by side as long as all together offer no more than this."""

START, REQUESTS_STEP = "start", "requests"
EXPECTED_START_S = 8.0

LOOK_EVERY_S = 0.2
OVERHEAD_S = 60.0
"""What the generator may take beyond its schedule before it counts as stuck."""

EXAMPLES = """\
examples:
  python -m experiments blocking
  python -m experiments blocking --service-time 0.1 --arrivals 5000 --seed 7
"""


@dataclass(frozen=True)
class Check:
    """What is run, and the run folder for its records."""

    settings: Settings
    points: list[Point]
    programs: Programs
    folder: Path


def main(arguments: Sequence[str], console: Console, programs: Programs | None = None) -> None:
    """Run the command. Raises CommandError."""
    programs = programs or Programs(PROJECT)
    options = _parser().parse_args(arguments)
    points = plan_points(options.service_time, options.arrivals, options.seed)
    from experiments.blocking.report import REPORTER  # now: matplotlib takes half a second to load, a mistake none

    folder = new_folder(options.out)
    check = Check(_settings(options, points, programs), points, programs, folder)
    run_experiment(check.settings, lambda: run_points(check, console), folder, REPORTER, console)


def plan_points(service_s: float, arrivals: int, seed: int) -> list[Point]:
    """Three loads for each number of slots, each with a seed of its own. Raises UsageError for too high a rate."""
    loads = {(slots, blocking): erlangs_at_blocking(slots, blocking) for slots in SLOTS for blocking in BLOCKING_AIMED}
    if service_s < (least_s := math.ceil(1000 * max(loads.values()) / MOST_RATE_PER_S) / 1000):
        raise UsageError(
            f"argument --service-time: {service_s:g} makes more than the {MOST_RATE_PER_S:g} arrivals per second that "
            f"router and generator carry side by side: give {least_s:g} or more"
        )
    return [
        Point(
            slots=slots,
            capacities={f"predict{number}": CAPACITY for number in range(1, slots // CAPACITY + 1)},
            aimed_blocking=blocking,
            rate_per_s=erlangs / service_s,
            warm_up_arrivals=warm_up_arrivals(erlangs),
            arrivals=arrivals,
            seed=seed + number,
        )
        for number, ((slots, blocking), erlangs) in enumerate(loads.items())
    ]


def run_points(check: Check, console: Console) -> None:
    """Offer every load and leave the records in the folder. Raises CommandError."""
    points = sorted(check.points, key=_schedule_s, reverse=True)  # the longest first: none is left over at the end
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


def easy_at_once(points: Sequence[Point]) -> int:
    """How many points can go side by side, 1 at least, without offering more than EASY_RATE_PER_S together."""
    totals = accumulate(sorted((point.rate_per_s for point in points), reverse=True))
    return max(1, sum(total <= EASY_RATE_PER_S for total in totals))


def _settings(options: argparse.Namespace, points: Sequence[Point], programs: Programs) -> Settings:
    at_once = options.at_once or easy_at_once(points)
    values = {
        "--service-time": f"{options.service_time:g}",
        "--arrivals": options.arrivals,
        "--seed": options.seed,
        "--at-once": at_once,
    }
    words = ["python", "-m", "experiments", "blocking"]
    return Settings(
        experiment=BLOCKING,
        command=shlex.join(words + [str(word) for pair in values.items() for word in pair]),
        started_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        service_time_s=options.service_time,
        arrivals=options.arrivals,
        seed=options.seed,
        at_once=at_once,
        machine=describe_machine(),
        versions=describe_versions(programs.root),
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m experiments blocking",
        description="Offer Poisson arrivals at fixed rates to 10, 20 and 30 slots; set the refused share beside "
        "Erlang B.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("--service-time", type=service_time_s, default=SERVICE_TIME_S, metavar="S",
        help="seconds a prediction takes (default: 1)")  # fmt: skip
    add("--arrivals", type=whole_number, default=ARRIVALS, metavar="N",
        help="counted requests per point; nine points (default: 2000)")  # fmt: skip
    add("--at-once", type=whole_number, metavar="N",
        help="points side by side (default: as many as offer 200 requests/s together: all, at 1 s)")  # fmt: skip
    add("--seed", type=whole_number, default=1, metavar="N", help="of the arrivals' random moments (default: 1)")
    add("--out", type=Path, metavar="DIR", help="new folder for records and report (default: results/<date-time>)")
    return parser
