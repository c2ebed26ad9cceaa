"""One swarm: a headless Locust run, alone or over workers, until its first failure or the end of its time."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import CommandError
from experiments.compare.records import FIRST_FAILURE_SEEN, NO_FAILURE
from experiments.results.store import FIRST_FAILURE, REQUESTS, request_files
from experiments.testbed.deployment import HOST, Deployment
from experiments.testbed.processes import Child, free_ports, require_alive, stop_all
from experiments.testbed.signals import StopRequest

LOOK_EVERY_S = 0.2

FINISH_S = 15
"""How long Locust lets requests in flight finish when it stops, so that they are recorded too."""

WORKERS_WITHIN_S = 30
"""How long the master waits for its workers."""

OVERHEAD_S = 60.0
"""What Locust may need beyond the run time and FINISH_S, to load and to end, before it counts as stuck."""


@dataclass(frozen=True)
class SwarmSettings:
    """The pace of a swarm, and its two upper bounds."""

    spawn_rate_per_s: float
    users_limit: int
    run_time_s: float
    workers: int = 0
    """Locust processes that send; 0: the one that leads sends itself."""


def run_swarm(
    deployment: Deployment,
    locustfile: Path,
    settings: SwarmSettings,
    folder: Path,
    stop: StopRequest,
    tell: Callable[[], None],
) -> str:
    """Swarm the rig's router; return FIRST_FAILURE_SEEN or NO_FAILURE. The records are left in `folder`.

    Calls `tell` a few times a second. Raises CommandError when a process ends or the swarm gets stuck.
    """
    master_port = free_ports(1)[0]
    swarm = _start(
        "swarm", _options(deployment, locustfile, settings, folder) + _leading(settings, master_port), folder
    )
    workers: list[Child] = []
    limit_s = settings.run_time_s + FINISH_S + OVERHEAD_S
    deadline = time.monotonic() + limit_s
    try:
        numbers = range(1, settings.workers + 1)
        workers.extend(_start(f"worker-{number}", _following(locustfile, master_port), folder) for number in numbers)
        end_s = time.monotonic() + settings.run_time_s
        while not swarm.has_ended():
            deployment.require_alive()
            if time.monotonic() < end_s and not (folder / FIRST_FAILURE).is_file():  # then they end by themselves
                require_alive(workers)
            tell()
            stop.wait(LOOK_EVERY_S)
            if time.monotonic() > deadline:
                raise CommandError(f"swarm has not ended after {limit_s:g} s\n{swarm.tail()}")
        deployment.require_alive()
    finally:
        stop_all([swarm, *workers])
    return _outcome(swarm, folder)


def _outcome(swarm: Child, folder: Path) -> str:
    if (folder / FIRST_FAILURE).is_file():
        return FIRST_FAILURE_SEEN
    if swarm.exit_status == 0 and request_files(folder):
        return NO_FAILURE
    raise CommandError(f"swarm ended without a record (exit status {swarm.exit_status})\n{swarm.tail()}")


def _start(name: str, options: Sequence[str | Path], folder: Path) -> Child:
    argv = [sys.executable, "-m", "locust", *map(str, options)]
    return Child(name, argv, folder / "logs" / f"{name}.log", cwd=folder)


def _leading(settings: SwarmSettings, port: int) -> list[str]:
    """The master's options, where there are workers."""
    if not settings.workers:
        return []
    values = {
        "--master-bind-host": HOST,
        "--master-bind-port": port,
        "--expect-workers": settings.workers,
        "--expect-workers-max-wait": WORKERS_WITHIN_S,
    }
    return ["--master", *(text for name, value in values.items() for text in (name, str(value)))]


def _following(locustfile: Path, port: int) -> list[str | Path]:
    """A worker's options; it gets all others from its master."""
    return ["--locustfile", locustfile, "--worker", "--master-host", HOST, "--master-port", str(port)]


def _options(deployment: Deployment, locustfile: Path, settings: SwarmSettings, folder: Path) -> list[str]:
    values = {
        "--locustfile": locustfile,
        "--host": deployment.url,
        "--users": settings.users_limit,
        "--spawn-rate": settings.spawn_rate_per_s,
        "--run-time": f"{math.ceil(settings.run_time_s)}s",
        "--stop-timeout": f"{FINISH_S}s",
        "--exit-code-on-error": 0,
        "--admin": deployment.admin_url,
        "--first-failure": folder / FIRST_FAILURE,
        "--records": folder / REQUESTS,
    }
    flags = ["--headless", "--only-summary", "--stop-at-first-failure"]
    return flags + [text for name, value in values.items() for text in (name, str(value))]
