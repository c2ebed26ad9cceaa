"""One recorded swarm: a headless run against a rig that is up, with everything that happened in its folder."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import CommandError
from experiments.compare.records import Run
from experiments.results.store import EVENTS, RUN, write_json
from experiments.testbed.deployment import Deployment
from experiments.testbed.sampler import LoadSampler
from experiments.testbed.signals import StopRequest
from experiments.testbed.swarm import SwarmSettings, run_swarm


@dataclass(frozen=True)
class Recording:
    """Which swarm it is, and the folder for its records."""

    topology: str
    repeat: int
    folder: Path


def record_swarm(
    deployment: Deployment,
    locustfile: Path,
    pace: SwarmSettings,
    recording: Recording,
    stop: StopRequest,
    tell: Callable[[dict[str, Any] | None], None],
) -> None:
    """Swarm the rig until its first failure or its time is over, and leave the records. Raises CommandError.

    `tell` is called a few times a second with what the admin port said last.
    """
    folder = recording.folder
    started_s = time.time()
    with LoadSampler(deployment.state, folder) as sampler:
        outcome = run_swarm(deployment, locustfile, pace, folder, stop, lambda: tell(sampler.latest))
    state = deployment.state() or sampler.latest
    if state is None:
        raise CommandError(f"{folder.name}: the router's admin port never answered")
    write_json(folder / EVENTS, state["events"])
    write_json(folder / RUN, Run(recording.topology, recording.repeat, outcome, started_s, time.time()))
