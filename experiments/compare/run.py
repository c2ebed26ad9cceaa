"""Runs a comparison: each topology in turn, on a deployment of its own, swarmed until its first failure."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import CommandError
from experiments.compare.records import (
    FIRST_FAILURE_SEEN,
    NO_FAILURE,
    CompareRun,
    CompareSettings,
    RunRecords,
    read_run,
)
from experiments.options import POST_WAIT_S
from experiments.results.store import EVENTS, FIRST_FAILURE, RUN, RowReader, request_files, write_json
from experiments.testbed.chosen_routers import ChosenDeployment
from experiments.testbed.deployment import Deployment
from experiments.testbed.parallel import Job, run_jobs
from experiments.testbed.payload import Payload
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.progress import RunProgress
from experiments.testbed.sampler import LoadSampler
from experiments.testbed.signals import StopRequest
from experiments.testbed.swarm import SwarmSettings, run_swarm
from experiments.theory.first_failure import predict_first_failure

START, SWARM = "start", "swarm"
EXPECTED_START_S, EXPECTED_END_S = 5.0, 3.0
ROUGHLY = 200
"""Simulated runs, for the display of the time left."""

RECENT_S = 5.0
TAIL_BYTES = 64 * 1024

State = dict[str, Any]
"""An answer of the router's admin port."""


def run_comparison(
    settings: CompareSettings, deployments: Sequence[ChosenDeployment], programs: Programs, payload: Payload | None,
    folder: Path, console: Console,
) -> None:  # fmt: skip
    """Does every run and leaves its records in the folder. Raises CommandError.

    `payload`: what every user POSTs to the rig's own predictors; None: they GET, or send what the server file says.
    Deployments take turns, repeat by repeat, so that a machine that slows down meets all of them alike.
    """
    runs = [
        SwarmRun(folder / f"{each.folder}-{repeat}", settings, each, repeat, programs, payload)
        for repeat in range(1, settings.repeats + 1)
        for each in deployments
    ]
    run_jobs(runs, settings.at_once, console)


@dataclass(frozen=True)
class SwarmRun(Job):
    """One run of one deployment, on processes of its own; nothing of it is shared with other runs."""

    settings: CompareSettings
    chosen: ChosenDeployment
    repeat: int
    programs: Programs
    payload: Payload | None

    def steps(self) -> list[tuple[str, float]]:
        """Start and swarm, the latter as long as theory expects."""
        settings = self.settings
        slots = next(plan.warm_slots for plan in settings.topologies if plan.name == self.chosen.name)
        pace = (settings.service_time_s, settings.spawn_rate_per_s, POST_WAIT_S)
        expected = predict_first_failure(slots, *pace, replications=ROUGHLY)
        swarm_s = settings.run_time_s if expected.time_s is None else min(expected.time_s.median, settings.run_time_s)
        return [(START, EXPECTED_START_S + settings.expected_load_s), (SWARM, swarm_s + EXPECTED_END_S)]

    def run(self, stop: StopRequest, progress: RunProgress) -> str:
        """Starts the deployment and swarms it; returns the first failure in words. Raises CommandError."""
        settings, folder = self.settings, self.folder
        progress.begin(START)
        programs_settings = DeploymentSettings(
            settings.fixed_service_time_s,
            settings.threshold,
            router=self.chosen.router,
            service_time_per_mb_s=settings.service_time_per_mb_s,
            payload=self.payload.file if self.payload else None,
            load_time_s=settings.load_time_s,
            server=self.programs.server,
            held_s=settings.holding_time_s,
        )
        pace = SwarmSettings(settings.spawn_rate_per_s, settings.users_limit, settings.run_time_s, settings.workers)
        with Deployment(
            self.chosen.topology, self.programs, programs_settings, folder, tell=progress.say
        ) as deployment:
            deployment.start(stop)
            if self.payload and self.repeat == 1:
                self.payload.require_accepted(deployment)
            progress.begin(SWARM)
            record_swarm(
                deployment, pace, self.chosen.name, self.repeat, folder, stop,
                lambda state: progress.update(swarm_text(folder, state)),
            )  # fmt: skip
        return ended_text(read_run(folder))


def record_swarm(
    deployment: Deployment, settings: SwarmSettings, name: str, repeat: int, folder: Path, stop: StopRequest,
    update: Callable[[State | None], None] = lambda _: None,
) -> None:  # fmt: skip
    """Swarms the router until its first failure or its time is over, and leaves the records in `folder`.

    `name` is the deployment's; `update` gets the admin port's last answer a few times a second. Raises CommandError.
    """
    started_s = time.time()
    with LoadSampler(deployment.state, folder) as sampler:
        run_swarm(deployment, settings, folder, stop, lambda: update(sampler.latest))
    state = deployment.state() or sampler.latest
    if state is None and deployment.admin_url:
        raise CommandError(f"{folder.name}: the router's admin port never answered")
    write_json(folder / EVENTS, state["events"] if state else [])
    outcome = FIRST_FAILURE_SEEN if (folder / FIRST_FAILURE).is_file() else NO_FAILURE
    write_json(folder / RUN, CompareRun(name, repeat, outcome, started_s, time.time()))


def swarm_text(folder: Path, state: State | None) -> str:
    """The status of the swarm whose records are in `folder`: users, answers per second, loads in file order."""
    if (folder / FIRST_FAILURE).is_file():
        return "first failure noted, letting requests in flight finish"
    parts = [recent(path, time.time()) for path in request_files(folder)]
    users, rate_per_s = sum(part[0] for part in parts), sum(part[1] for part in parts)
    if not users:
        return "starting the swarm"
    predictors = state["predictors"].values() if state else ()
    loads = "/".join(str(fields["load"]) if fields["status"] else "-" for fields in predictors)
    return f"{users} users, {rate_per_s:.1f} answers/s{loads and f', loads {loads}'}"


def ended_text(records: RunRecords) -> str:
    """What a swarm came to."""
    failure = records.first_failure
    if failure is None:
        return "nothing failed"
    return f"{failure.cause} {failure.rate_text}, {failure.users} users"


def recent(requests_csv: Path, now_s: float) -> tuple[int, float]:
    """The users at the last recorded request, and the requests finished per second in the last RECENT_S.

    Reads whole rows at the end of the file, to which the swarm writes about once a second; of a younger run those since
    its first request. (0, 0.0) before there is any record.
    """
    reader = RowReader(requests_csv)
    head = next(reader.read(), None)
    if head is None:
        return 0, 0.0
    reader.skip_to_last(TAIL_BYTES)
    rows = [dict(zip(head, row, strict=False)) for row in reader.read()]
    if not rows:
        return 0, 0.0
    ended_s = [float(row["sent_at_s"]) + float(row["latency_s"]) for row in rows]
    newest_s = min(now_s, ended_s[-1])
    window_s = min(RECENT_S, max(1.0, newest_s - float(rows[0]["sent_at_s"])))
    return int(rows[-1]["users"]), sum(newest_s - window_s < each_s for each_s in ended_s) / window_s
