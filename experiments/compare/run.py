"""Runs a comparison: each topology in turn, on a deployment of its own, swarmed until its first failure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.compare.records import Settings, read_run
from experiments.options import POST_WAIT_S
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.parallel import ParallelRunner
from experiments.testbed.progress import Display, ProgressBoard, RunProgress
from experiments.compare.swarm_run import Recording, record_swarm
from experiments.testbed.signals import StopRequest, stop_on_signals
from experiments.testbed.swarm import SwarmSettings
from experiments.compare.progress import swarm_text
from experiments.testbed.topologies import Topology
from experiments.theory.first_failure import predict_first_failure

START, SWARM = "start", "swarm"
EXPECTED_START_S, EXPECTED_END_S = 5.0, 3.0
ROUGHLY = 200
"""Simulated runs, for the display of the time left."""


@dataclass(frozen=True)
class Plan:
    """What a comparison consists of, and the run folder for its records."""

    settings: Settings
    topologies: Sequence[Topology]
    programs: Programs
    folder: Path


def run_comparison(
    settings: Settings, topologies: Sequence[Topology], programs: Programs, folder: Path, console: Console
) -> None:
    """Does every run and leaves its records in the folder. Raises CommandError.

    Topologies take turns, repeat by repeat, so that a machine that slows down meets all of them alike.
    """
    comparison = Plan(settings, topologies, programs, folder)
    repeats = range(1, settings.repeats + 1)
    runs = [Recording(t.name, n, comparison.folder / f"{t.name}-{n}") for n in repeats for t in comparison.topologies]
    board = ProgressBoard(
        [RunProgress(run.folder.name, _expected_steps(run, settings)) for run in runs], settings.at_once
    )
    with stop_on_signals() as stop, Display(console, board) as display:
        runner = ParallelRunner(runs, settings.at_once, lambda run: _run(comparison, run, stop, board), stop)
        runner.run(display.refresh)


def _run(comparison: Plan, run: Recording, stop: StopRequest, board: ProgressBoard) -> None:
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
    pace = (settings.service_time_s, settings.spawn_rate_per_s, POST_WAIT_S)
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
