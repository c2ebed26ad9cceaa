"""Runs a comparison: each topology in turn, on a deployment of its own, swarmed until its first failure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from experiments.compare.progress import ended_text, swarm_text
from experiments.compare.records import CompareSettings, read_run
from experiments.compare.swarm_run import record_swarm
from experiments.options import POST_WAIT_S
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.parallel import Job, run_jobs
from experiments.testbed.progress import RunProgress
from experiments.testbed.signals import StopRequest
from experiments.testbed.swarm import SwarmSettings
from experiments.testbed.topologies import Topology
from experiments.theory.first_failure import predict_first_failure

START, SWARM = "start", "swarm"
EXPECTED_START_S, EXPECTED_END_S = 5.0, 3.0
ROUGHLY = 200
"""Simulated runs, for the display of the time left."""


def run_comparison(
    settings: CompareSettings, topologies: Sequence[Topology], programs: Programs, folder: Path, console: Console
) -> None:
    """Does every run and leaves its records in the folder. Raises CommandError.

    Topologies take turns, repeat by repeat, so that a machine that slows down meets all of them alike.
    """
    repeats = range(1, settings.repeats + 1)
    runs = [
        SwarmRun(folder / f"{topology.name}-{repeat}", settings, topology, repeat, programs)
        for repeat in repeats
        for topology in topologies
    ]
    run_jobs(runs, settings.at_once, console)


@dataclass(frozen=True)
class SwarmRun(Job):
    """One run of one topology, on a deployment of its own; nothing of it is shared with other runs."""

    settings: CompareSettings
    topology: Topology
    repeat: int
    programs: Programs

    def steps(self) -> list[tuple[str, float]]:
        """Start and swarm, the latter as long as theory expects."""
        settings = self.settings
        slots = sum(self.topology.capacities(settings.threshold).values())
        pace = (settings.service_time_s, settings.spawn_rate_per_s, POST_WAIT_S)
        expected = predict_first_failure(slots, *pace, replications=ROUGHLY)
        swarm_s = settings.run_time_s if expected.time_s is None else min(expected.time_s.median, settings.run_time_s)
        return [(START, EXPECTED_START_S), (SWARM, swarm_s + EXPECTED_END_S)]

    def run(self, stop: StopRequest, progress: RunProgress) -> str:
        """Starts the deployment and swarms it; returns the first failure in words. Raises CommandError."""
        settings, folder = self.settings, self.folder
        progress.begin(START)
        programs_settings = DeploymentSettings(settings.service_time_s, settings.threshold, engine=settings.engine)
        pace = SwarmSettings(settings.spawn_rate_per_s, settings.users_limit, settings.run_time_s, settings.workers)
        with Deployment(self.topology, self.programs, programs_settings, folder) as deployment:
            deployment.start(stop)
            progress.begin(SWARM)
            record_swarm(
                deployment, pace, self.repeat, folder, stop, lambda state: progress.update(swarm_text(folder, state))
            )
        return ended_text(read_run(folder))
