"""One swarm: a headless Locust run, alone or over workers, until its first failure or the end of its time."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli import CommandError
from experiments.results.store import FIRST_FAILURE, REQUESTS, request_files
from experiments.testbed.deployment import Deployment
from experiments.testbed.ports import free_ports
from experiments.testbed.processes import LoadProcess, stop_all
from experiments.testbed.router import HOST
from experiments.testbed.signals import StopRequest

FINISH_S = 15
"""How long Locust lets requests in flight finish when it stops, so that they are recorded too."""

WORKERS_WITHIN_S = 30
"""How long the master waits for its workers."""


@dataclass(frozen=True)
class SwarmSettings:
    """The pace of a swarm, and its two upper bounds."""

    spawn_rate_per_s: float
    users_limit: int
    run_time_s: float
    workers: int = 0
    """Locust processes that send; 0: the one that leads sends itself."""


def run_swarm(
    deployment: Deployment, settings: SwarmSettings, folder: Path, stop: StopRequest, update: Callable[[], None]
) -> None:
    """Swarms the router and leaves the records in `folder`, with FIRST_FAILURE among them if a request failed.

    Calls `update` a few times a second. Raises CommandError when a process ends or the swarm gets stuck.
    """
    [port] = free_ports(1)
    swarm = _start_leader(deployment, settings, folder, port)
    workers: list[LoadProcess] = []
    try:
        numbers = range(1, settings.workers + 1)
        workers.extend(_start_worker(f"worker-{number}", deployment, folder, port) for number in numbers)
        end_s = time.monotonic() + settings.run_time_s

        def check() -> None:
            deployment.require_alive()
            update()
            if swarm.has_ended() or time.monotonic() > end_s or (folder / FIRST_FAILURE).is_file():
                return  # then workers end by themselves
            for worker in workers:
                worker.require_alive()

        swarm.wait_until_ended(settings.run_time_s + FINISH_S, check, stop)
    finally:
        stop_all([swarm, *workers])
    if not (folder / FIRST_FAILURE).is_file() and not (swarm.exit_status == 0 and request_files(folder)):
        raise CommandError(f"swarm ended without a record (exit status {swarm.exit_status})\n{swarm.tail()}")


def _start_leader(deployment: Deployment, settings: SwarmSettings, folder: Path, port: int) -> LoadProcess:
    """Starts the Locust that leads the workers, or sends itself where there are none."""
    options: dict[str, object] = {
        "--locustfile": deployment.programs.locustfile,
        "--host": deployment.url,
        "--users": settings.users_limit,
        "--spawn-rate": settings.spawn_rate_per_s,
        "--run-time": f"{math.ceil(settings.run_time_s)}s",
        "--stop-timeout": f"{FINISH_S}s",
        "--exit-code-on-error": 0,
        "--admin": deployment.admin_url,  # empty: it has none
        "--first-failure": folder / FIRST_FAILURE,
        "--records": folder / REQUESTS,
        **deployment.load_options,
    }
    flags = ["--headless", "--only-summary", "--stop-at-first-failure"]
    if settings.workers:
        flags.append("--master")
        options |= {
            "--master-bind-host": HOST,
            "--master-bind-port": port,
            "--expect-workers": settings.workers,
            "--expect-workers-max-wait": WORKERS_WITHIN_S,
        }
    return LoadProcess("swarm", ["locust", *flags], options, folder / "logs" / "swarm.log", folder)


def _start_worker(name: str, deployment: Deployment, folder: Path, port: int) -> LoadProcess:
    """Starts a worker; it gets all other options from its master."""
    options = {"--locustfile": deployment.programs.locustfile, "--master-host": HOST, "--master-port": port}
    return LoadProcess(name, ["locust", "--worker"], options, folder / "logs" / f"{name}.log", folder)
