"""`python -m experiments compare`: swarms each topology until its first failure, and reports on what happened."""

import argparse
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import Parser, whole_number
from experiments.compare.records import Settings, read_run
from experiments.experiment import run_experiment
from experiments.options import add_engine, rate_per_s, service_time_s, worker_count
from experiments.results.environment import describe_machine, describe_versions
from experiments.results.folders import PROJECT, new_folder
from experiments.results.records import TopologyPlan
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.parallel import ParallelRunner
from experiments.testbed.progress import Display, ProgressBoard, RunProgress
from experiments.testbed.recording import Recording, record_swarm
from experiments.testbed.signals import StopRequest, stop_on_signals
from experiments.testbed.swarm import SwarmSettings
from experiments.testbed.swarm_progress import swarm_text
from experiments.testbed.topologies import Topology, find_topologies
from experiments.theory.first_failure import predict_first_failure

TOPOLOGIES = ("single", "2active", "3active")
THRESHOLD = 10
WAIT_S = (1.0, 5.0)
"""The wait of the locustfile's users."""

RUN_TIME_S = 180
"""How long a run may last where theory cannot say how long it should."""

LEAST_RUN_TIME_S = 60
MOST_USERS = 5000
AT_ONCE = 3
"""Runs side by side: they wait more than they compute, so the figures are those of runs one after the other."""

START, SWARM = "start", "swarm"
EXPECTED_START_S, EXPECTED_END_S = 5.0, 3.0
ROUGHLY = 200
"""Simulated runs, for the display of the time left."""

EXAMPLES = """\
examples:
  python -m experiments compare
  python -m experiments compare --topologies single,3active --repeats 3
  python -m experiments compare --topologies my.json --spawn-rate 5
"""


def main(arguments: Sequence[str], console: Console, programs: Programs | None = None) -> None:
    """Run the command. Raises CommandError."""
    programs = programs or Programs(PROJECT)
    options = _parser().parse_args(arguments)
    topologies = find_topologies(options.topologies or [",".join(TOPOLOGIES)], programs.topologies)
    from experiments.compare.report import REPORTER  # now: matplotlib takes half a second to load, a mistake none

    folder = new_folder(options.out)
    settings = _settings(options, topologies, programs)
    comparison = Comparison(settings, topologies, programs, folder)
    run_experiment(settings, lambda: compare(comparison, console), folder, REPORTER, console)


@dataclass(frozen=True)
class Comparison:
    """What a comparison consists of, and the run folder for its records."""

    settings: Settings
    topologies: list[Topology]
    programs: Programs
    folder: Path


def compare(comparison: Comparison, console: Console) -> None:
    """Do every run and leave its records in the folder. Raises CommandError.

    Topologies take turns, repeat by repeat, so that a machine that slows down meets all of them alike.
    """
    settings = comparison.settings
    repeats = range(1, settings.repeats + 1)
    runs = [Recording(t.name, n, comparison.folder / f"{t.name}-{n}") for n in repeats for t in comparison.topologies]
    board = ProgressBoard(
        [RunProgress(run.folder.name, _expected_steps(run, settings)) for run in runs], settings.at_once
    )
    with stop_on_signals() as stop, Display(console, board) as display:
        runner = ParallelRunner(runs, settings.at_once, lambda run: _run(comparison, run, stop, board), stop)
        runner.run(display.refresh)


def _run(comparison: Comparison, run: Recording, stop: StopRequest, board: ProgressBoard) -> None:
    """One run of one topology, on a rig of its own; nothing of it is shared with other runs."""
    settings, programs, name = comparison.settings, comparison.programs, run.folder.name
    topology = next(each for each in comparison.topologies if each.name == run.topology)
    run.folder.mkdir()
    board.step(name, START)
    deployment_settings = DeploymentSettings(settings.service_time_s, settings.threshold, engine=settings.engine)
    pace = SwarmSettings(settings.spawn_rate_per_s, settings.users_limit, settings.run_time_s, settings.workers)
    with Deployment(topology, programs, deployment_settings, run.folder) as deployment:
        deployment.start(stop)
        board.step(name, SWARM)
        tell = partial(_tell, board, run.folder)
        record_swarm(deployment, programs.locustfile, pace, run, stop, tell)
    board.end(name, _ending(run.folder))


def _tell(board: ProgressBoard, folder: Path, state: dict[str, Any] | None) -> None:
    board.tell(folder.name, swarm_text(folder, state))


def _expected_steps(run: Recording, settings: Settings) -> list[tuple[str, float]]:
    """The steps of a run, each with about the seconds that it takes."""
    slots = next(plan.slots for plan in settings.topologies if plan.name == run.topology)
    pace = (settings.service_time_s, settings.spawn_rate_per_s, WAIT_S)
    expected = predict_first_failure(slots, *pace, replications=ROUGHLY)
    swarm_s = settings.run_time_s if expected.time_s is None else min(expected.time_s.median, settings.run_time_s)
    return [(START, EXPECTED_START_S), (SWARM, swarm_s + EXPECTED_END_S)]


def _ending(folder: Path) -> str:
    """How a run ended, for the progress display."""
    failure = read_run(folder).first_failure
    if failure is None:
        return "nothing failed"
    rate = f"{failure.rate_at_first_failure_per_s:.1f} requests/s"
    return f"{failure.cause} at {rate}, {failure.users} users"


def _settings(options: argparse.Namespace, topologies: Sequence[Topology], programs: Programs) -> Settings:
    threshold = options.threshold
    plans = [TopologyPlan(each.name, each.capacities(threshold), each.roles()) for each in topologies]
    run_time_s = options.run_time or _default_run_time_s(plans, options)
    users_limit = options.users or min(MOST_USERS, math.ceil(options.spawn_rate * run_time_s))
    return Settings(
        experiment="compare",
        command=_command(options, run_time_s, users_limit),
        started_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        topologies=plans,
        repeats=options.repeats,
        spawn_rate_per_s=options.spawn_rate,
        wait_s=list(WAIT_S),
        service_time_s=options.service_time,
        threshold=threshold,
        run_time_s=run_time_s,
        users_limit=users_limit,
        machine=describe_machine(),
        versions=describe_versions(programs.root),
        at_once=min(options.at_once, len(plans) * options.repeats),
        workers=options.workers,
        engine=options.engine,
    )


def _default_run_time_s(plans: Sequence[TopologyPlan], options: argparse.Namespace) -> int:
    """Twice the time within which theory expects 95 % of the runs of the largest topology to fail."""
    slots = max(plan.slots for plan in plans)
    expected = predict_first_failure(slots, options.service_time, options.spawn_rate, WAIT_S)
    if expected.time_s is None:
        return RUN_TIME_S
    return max(LEAST_RUN_TIME_S, math.ceil(2 * expected.time_s.p95))


def _command(options: argparse.Namespace, run_time_s: float, users_limit: int) -> str:
    """The command line that repeats this, with every option that shapes the figures written out."""
    values = {
        "--topologies": ",".join(",".join(options.topologies or TOPOLOGIES).split(",")),
        "--repeats": options.repeats,
        "--spawn-rate": f"{options.spawn_rate:g}",
        "--service-time": f"{options.service_time:g}",
        "--threshold": options.threshold,
        "--run-time": f"{run_time_s:g}",
        "--users": users_limit,
        "--at-once": options.at_once,
        "--workers": options.workers,
        "--engine": options.engine,
    }
    words = ["python", "-m", "experiments", "compare"]
    return shlex.join(words + [str(word) for pair in values.items() for word in pair])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m experiments compare",
        description="Swarm each topology until its first failure; print and write the figures beside theory's.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("--topologies", nargs="+", action="extend", metavar="NAME|PATH",
        help="topologies to compare, with commas or spaces between (default: single,2active,3active)")  # fmt: skip
    add("--repeats", type=whole_number, default=1, metavar="N", help="runs of each topology (default: 1)")
    add("--spawn-rate", type=rate_per_s, default=1.0, metavar="PER_S", help="new users per second (default: 1)")
    add("--service-time", type=service_time_s, default=1.0, metavar="S",
        help="seconds a prediction takes (default: 1)")  # fmt: skip
    add("--run-time", type=whole_number, metavar="S",
        help="longest run in seconds (default: twice what theory expects of the largest topology)")  # fmt: skip
    add("--users", type=whole_number, metavar="N", help="most users (default: as many as come in the run time)")
    add("--at-once", type=whole_number, default=AT_ONCE, metavar="N", help="runs side by side (default: 3)")
    add("--workers", type=worker_count, default=0, metavar="N",
        help="Locust workers that send the load, led by a master (default: 0, one process alone)")  # fmt: skip
    add("--threshold", type=whole_number, default=THRESHOLD, metavar="N",
        help="capacity of a predictor whose entry names none (default: 10)")  # fmt: skip
    add_engine(parser)
    add("--out", type=Path, metavar="DIR", help="new folder for records and report (default: results/<date-time>)")
    return parser
