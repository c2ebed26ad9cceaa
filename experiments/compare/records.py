"""The records of a comparison: settings, and per run requests, first failure, loads, events. No figures here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from cli import UsageError
from experiments.results.records import (
    LEFT_OUT_EMPTY,
    Event,
    LoadSample,
    PayloadRecord,
    RecordFile,
    RequestRecord,
    Settings,
    TopologyPlan,
)
from experiments.results.store import (
    EVENTS,
    FIRST_FAILURE,
    LOADS,
    REQUESTS,
    RUN,
    SETTINGS,
    read_record,
    read_rows,
    request_files,
)

FIRST_FAILURE_SEEN, NO_FAILURE = "first_failure", "no_failure"

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


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Settings):
    """What a comparison was asked for, and on what it ran."""

    ORDER: ClassVar = (
        "experiment", "command", "started_at", "topologies", "repeats", "spawn_rate_per_s", "wait_s", "service_time_s",
        "service_time_per_mb_s", "payload", "threshold", "run_time_s", "users_limit", "machine", "versions", "at_once",
        "workers", "engine", "load_time_s", "margins", "server", "routers",
    )  # fmt: skip

    topologies: list[TopologyPlan]
    """The topologies, in the order asked for."""
    repeats: int
    """How many runs of each topology were asked for."""
    spawn_rate_per_s: float
    """New users per second."""
    wait_s: list[float]
    """A user's wait between requests: the least and the most."""
    threshold: int
    """Capacity of a predictor whose entry names none."""
    run_time_s: float
    """A run ends after this even if nothing failed."""
    users_limit: int
    """The most users."""
    workers: int = 0
    """Locust workers that sent the load; 0: one Locust process alone."""
    load_time_s: float = 0.0
    """How long a predictor loads its model before it serves."""
    service_time_per_mb_s: float = field(default=0.0, metadata=LEFT_OUT_EMPTY)
    """The part of the service time that a megabyte (1,000,000 bytes) of the payload takes; no such key where none."""
    payload: PayloadRecord | None = field(default=None, metadata=LEFT_OUT_EMPTY)
    """What every user sent to the rig's own predictors; no such key where that was GET, or a server file's payload."""

    @property
    def is_like_the_post(self) -> bool:
        """Whether the blog post's figures are of such: this project's router and predictors, and no payload."""
        return self.server is None and self.payload is None and self.has_own_router_alone

    @property
    def payload_time_s(self) -> float:
        """The part of the service time that the payload takes."""
        return self.payload.takes_s(self.service_time_per_mb_s) if self.payload else 0.0

    @property
    def fixed_service_time_s(self) -> float:
        """The rest of it, which does not depend on what is sent."""
        return round(self.service_time_s - self.payload_time_s, 6)

    @property
    def expected_load_s(self) -> float:
        """About how long that takes, of a user's server as measured."""
        return self.server.preflight.ready_after_s if self.server else self.load_time_s


@dataclass(frozen=True)
class CompareRun:
    """One run of one topology."""

    topology: str
    """The topology's name."""
    repeat: int
    """The run's number among those of its topology, from 1."""
    outcome: str
    """How it ended: first_failure, or no_failure within the run time."""
    started_at_s: float
    """Epoch seconds when the swarm was started; its first user comes later, when Locust has loaded."""
    ended_at_s: float
    """Epoch seconds when it had ended."""


@dataclass(frozen=True, kw_only=True)
class SwarmRequest(RequestRecord):
    """One finished request, as the swarm saw it."""

    ORDER: ClassVar = ("sent_at_s", "latency_s", "method", "status", "reason", "predictor", "users")

    method: str
    """GET or POST."""
    users: int
    """Users in the swarm when it finished; in a worker's file those of that worker."""


YOUNGEST_S = 1.0
"""A rate over a shorter window than this depends on how fast users come, not on what the topology carries."""


@dataclass(frozen=True)
class FirstFailure:
    """The first failed request of a run, as the swarm noted it."""

    time_s: float
    """Epoch seconds when the first failed request was sent."""
    elapsed_s: float
    """Seconds since the test's start."""
    users: int
    rate_at_first_failure_per_s: float
    window_s: float
    """The length of the window before it: 10 s, or the run's age where that is less."""
    requests_in_window: int
    """Requests sent in that window."""
    cause: str
    status: int
    """HTTP status; 0 when there was no answer."""
    topology: str | None
    """Its name as the router told it; null when the admin port did not answer."""
    loads: dict[str, dict[str, Any]]
    """Per predictor: load, peak_load, capacity, status, state; empty when the admin port did not answer."""

    @property
    def rate_text(self) -> str:
        """The rate in words; none is given of a run too young for one."""
        return "at once" if self.elapsed_s < YOUNGEST_S else f"at {self.rate_at_first_failure_per_s:.1f} requests/s"


@dataclass(frozen=True)
class RunRecords:
    """Everything that was recorded of one finished run."""

    folder: Path
    run: CompareRun
    requests: list[SwarmRequest]
    first_failure: FirstFailure | None
    loads: list[LoadSample]
    events: list[Event]


def read_runs(folder: Path) -> list[RunRecords]:
    """Reads every finished run of a run folder, by topology and repeat. Raises UsageError for a damaged file."""
    runs = [read_run(path.parent) for path in folder.glob(f"*/{RUN}")]
    return sorted(runs, key=lambda records: (records.run.topology, records.run.repeat))


def read_run(folder: Path) -> RunRecords:
    """Reads one finished run. Raises UsageError for a damaged file."""
    failure = folder / FIRST_FAILURE
    if not (files := request_files(folder)):
        raise UsageError(f"{folder / REQUESTS}: missing; the run's records are incomplete")
    requests = whole_swarm([list(read_rows(SwarmRequest, path)) for path in files])
    return RunRecords(
        folder=folder,
        run=read_record(CompareRun, folder / RUN),
        requests=sorted(requests, key=lambda request: request.sent_at_s),
        first_failure=read_record(FirstFailure, failure) if failure.is_file() else None,
        loads=list(read_rows(LoadSample, folder / LOADS)),
        events=read_record(list[Event], folder / EVENTS),
    )


def whole_swarm(parts: Sequence[Sequence[SwarmRequest]]) -> list[SwarmRequest]:
    """The requests of a swarm's processes, in the order in which they finished, with the users of all processes."""
    ended = [(each.sent_at_s + each.latency_s, number, each) for number, part in enumerate(parts) for each in part]
    users = [0] * len(parts)
    together = []
    for _, number, each in sorted(ended, key=lambda row: row[:2]):
        users[number] = each.users
        together.append(dataclasses.replace(each, users=sum(users)))
    return together


FILES = (
    RecordFile(
        "summary.json",
        "experiments.compare.summary:ComparisonSummary",
        "The comparison: what report, tables and charts show.",
        definitions="experiments.compare.figures:DEFINITIONS",
    ),
    RecordFile(SETTINGS, CompareSettings, "What was asked for, on which machine; written before the first run."),
    RecordFile(RUN, CompareRun, "One run, in `<topology>-<repeat>/`; written last: a folder without it is unfinished."),
    RecordFile(REQUESTS, SwarmRequest, "One row per finished request, by the swarm (`requests.<n>.csv` by a worker)."),
    RecordFile(
        FIRST_FAILURE,
        FirstFailure,
        "The first failed request of a run, by the swarm; missing when nothing failed.",
        definitions="experiments.compare.figures:DEFINITIONS",
    ),
    RecordFile(LOADS, LoadSample, "One row per predictor, about five times a second, from the admin port."),
    RecordFile(EVENTS, list[Event], "A list of these: the router's own event log."),
)
"""What a run folder holds of a comparison."""
