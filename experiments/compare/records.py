"""The records of a comparison: settings, and per run requests, first failure, loads, events. No figures here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import UsageError
from experiments.options import DEFAULT_ENGINE
from experiments.results.records import Event, LoadSample, TopologyPlan
from experiments.results.store import (
    EVENTS,
    FIRST_FAILURE,
    LOADS,
    REQUESTS,
    RUN,
    SETTINGS,
    build,
    read_json,
    read_rows,
    request_files,
)

FIRST_FAILURE_SEEN = "first_failure"


NO_FAILURE = "no_failure"


LAYOUT = """\
results/<run>/
    settings.json            Settings: what was asked for, on which machine, with which versions
    <topology>-<repeat>/     one run of one topology
        run.json             Run: what was run and how it ended; written last: a folder without it is unfinished
        requests.csv         Request: one row per finished request, by the swarm (requests.<n>.csv by a worker)
        first_failure.json   FirstFailure, by the swarm; missing when nothing failed
        loads.csv            LoadSample: one row per predictor, about five times a second, from the admin port
        events.json          Event: the router's own event log, from the admin port
        topology/, logs/     the topology file on this run's ports; every process's output
"""
"""What stands where in a run folder."""


@dataclass(frozen=True)
class Settings:
    """What an experiment was asked for, and on what it ran."""

    experiment: str
    command: str
    """The command line that repeats it."""
    started_at: str
    """Local date and time, ISO 8601."""
    topologies: list[TopologyPlan]
    repeats: int
    spawn_rate_per_s: float
    wait_s: list[float]
    """A user's wait between requests: the least and the most."""
    service_time_s: float
    threshold: int
    run_time_s: float
    """A run ends after this even if nothing failed."""
    users_limit: int
    machine: dict[str, str]
    versions: dict[str, str]
    at_once: int = 1
    """How many runs went side by side; records that do not say are of runs one after the other."""
    workers: int = 0
    """Locust workers that sent the load; 0: one Locust process alone."""
    engine: str = DEFAULT_ENGINE
    """What carried the requests; records that do not say are of the Flask engine."""


@dataclass(frozen=True)
class Run:
    """One run of one topology."""

    topology: str
    repeat: int
    outcome: str
    """FIRST_FAILURE_SEEN or NO_FAILURE (within the run time)."""
    started_at_s: float
    """Epoch seconds when the swarm was started; its first user comes later, when Locust has loaded."""
    ended_at_s: float


@dataclass(frozen=True)
class Request:
    """One finished request, as the swarm saw it."""

    sent_at_s: float
    """Epoch seconds."""
    latency_s: float
    method: str
    status: int
    """HTTP status; 0 when there was no answer."""
    reason: str
    """The router's reason or the transport error; empty for a good answer."""
    predictor: str
    users: int

    @property
    def failed(self) -> bool:
        """Whether the swarm counts it as a failure."""
        return self.reason != ""


@dataclass(frozen=True)
class FirstFailure:
    """The first failed request of a run, as the swarm noted it."""

    time_s: float
    """Epoch seconds."""
    elapsed_s: float
    """Seconds since the test's start."""
    users: int
    rate_at_first_failure_per_s: float
    window_s: float
    requests_in_window: int
    cause: str
    status: int
    topology: str | None
    loads: dict[str, dict[str, Any]]
    """Per predictor: load, peak_load, capacity, status; empty when the admin port did not answer."""


@dataclass(frozen=True)
class RunRecords:
    """Everything that was recorded of one finished run."""

    folder: Path
    run: Run
    requests: list[Request]
    first_failure: FirstFailure | None
    loads: list[LoadSample]
    events: list[Event]


def read_settings(folder: Path) -> Settings:
    """Read a run folder's settings. Raises UsageError when the folder holds no run."""
    if not (folder / SETTINGS).is_file():
        raise UsageError(f"{folder}: no run stands there: it has no {SETTINGS}")
    document = read_json(folder / SETTINGS)
    settings = build(Settings, document, folder / SETTINGS)
    plans = [build(TopologyPlan, plan, folder / SETTINGS) for plan in document["topologies"]]
    return dataclasses.replace(settings, topologies=plans)


def read_runs(folder: Path) -> list[RunRecords]:
    """Read every finished run of a run folder, by topology and repeat. Raises UsageError for a damaged file."""
    runs = [read_run(path.parent) for path in folder.glob(f"*/{RUN}")]
    return sorted(runs, key=lambda records: (records.run.topology, records.run.repeat))


def read_run(folder: Path) -> RunRecords:
    """Read one finished run. Raises UsageError for a damaged file."""
    failure = folder / FIRST_FAILURE
    if not (files := request_files(folder)):
        raise UsageError(f"{folder / REQUESTS}: missing; the run's records are incomplete")
    requests = whole_swarm([list(read_rows(Request, path)) for path in files])
    return RunRecords(
        folder=folder,
        run=build(Run, read_json(folder / RUN), folder / RUN),
        requests=sorted(requests, key=lambda request: request.sent_at_s),
        first_failure=build(FirstFailure, read_json(failure), failure) if failure.is_file() else None,
        loads=list(read_rows(LoadSample, folder / LOADS)),
        events=[build(Event, event, folder / EVENTS) for event in read_json(folder / EVENTS)],
    )


def whole_swarm(parts: Sequence[Sequence[Request]]) -> list[Request]:
    """The requests of a swarm's processes together, in the order in which they finished.

    Each process tells the users that it has itself; together they are those of the swarm.
    """
    ended = [(each.sent_at_s + each.latency_s, number, each) for number, part in enumerate(parts) for each in part]
    users = [0] * len(parts)
    together = []
    for _, number, each in sorted(ended, key=lambda row: row[:2]):
        users[number] = each.users
        together.append(dataclasses.replace(each, users=sum(users)))
    return together
