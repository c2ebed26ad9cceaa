"""One recorded swarm on a deployment that is up, with everything that happened in its folder."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli import CommandError
from experiments.compare.records import FIRST_FAILURE_SEEN, NO_FAILURE, CompareRun
from experiments.results.store import EVENTS, FIRST_FAILURE, RUN, write_json
from experiments.testbed.deployment import Deployment
from experiments.testbed.sampler import LoadSampler
from experiments.testbed.signals import StopRequest
from experiments.testbed.swarm import SwarmSettings, run_swarm

State = dict[str, Any]


def record_swarm(
    deployment: Deployment, settings: SwarmSettings, repeat: int, folder: Path, stop: StopRequest,
    update: Callable[[State | None], None] = lambda _: None,
) -> None:  # fmt: skip
    """Swarms the router until its first failure or its time is over, and leaves the records in `folder`.

    `update` gets the admin port's last answer a few times a second. Raises CommandError.
    """
    started_s = time.time()
    with LoadSampler(deployment.state, folder) as sampler:
        run_swarm(deployment, settings, folder, stop, lambda: update(sampler.latest))
    state = deployment.state() or sampler.latest
    if state is None:
        raise CommandError(f"{folder.name}: the router's admin port never answered")
    write_json(folder / EVENTS, state["events"])
    outcome = FIRST_FAILURE_SEEN if (folder / FIRST_FAILURE).is_file() else NO_FAILURE
    write_json(folder / RUN, CompareRun(deployment.topology.name, repeat, outcome, started_s, time.time()))
