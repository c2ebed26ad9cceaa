"""The files of a failover run: settings, and per topology and repeat requests, fault actions, events and loads."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from experiments.compare.records import RunRecords, read_run
from experiments.results.records import (
    LEFT_OUT_EMPTY,
    Event,
    LoadSample,
    RecordFile,
    RequestRecord,
    Settings,
    TopologyPlan,
)
from experiments.results.store import EVENTS, LOADS, REQUESTS, RUN, SETTINGS, read_record, read_rows, request_files

FAILOVER = "failover"
"""The experiment's name in settings.json."""

ACTIONS = "faults.csv"
CAPACITY_FOLDERS = ALL_UP, DOMAIN_DOWN = "capacity-all-up", "capacity-domain-down"

NORMAL, MORE, SURGE, SATURATION, OVERSIZE = "normal", "more", "surge", "saturation", "oversize"
"""What a request of the load is, as it is recorded; `more` is what a greater load than calm adds to it."""

CALM, N_PLUS_1 = "calm", "n+1"
"""The loads under which faults strike: one that every topology could carry twice with one predictor down, and the
most that the largest can carry then."""

LAYOUT = """\
results/<run>/
    settings.json             Settings: what was asked for, on which machine, with which versions
    <topology>-<repeat>/      one run of one topology: every fault in turn, under one steady load
        run.json              Run: when it began and ended; written last: a folder without it is unfinished
        faults.csv            Action: one row per step of a fault: injected, repair, repaired, recovered, window ended
        requests.csv          Offered: one row per finished request (requests.<kind>.csv: what a fault adds)
        events.json           Event: the routers' own event logs, of all routers of the run
        loads.csv             LoadSample: one row per predictor, about five times a second, from the admin port
        capacity-all-up/      a swarm until its first failure with everything up, as `compare` records it
        capacity-domain-down/ the same with the largest failure domain down
        topology/, logs/      the topology file on this run's ports; every process's output
"""
"""What stands where in a run folder."""


class Step(StrEnum):
    """The actions that every fault may have; a fault may add its own."""

    SKIPPED = "skipped"
    INJECTED = "injected"
    MISSED = "missed"
    REPAIR = "repair"
    REPAIRED = "repaired"
    PUT_BACK = "put back"
    RECOVERED = "recovered"
    ENDED = "window ended"
    ROUTER_GONE = "router gone"
    """In records of older runs alone: the router was stopped, and another, which knew nothing of it, was started."""


@dataclass(frozen=True)
class DomainPlan(TopologyPlan):
    """A topology's plan, and the region and the host of each predictor whose entry names one."""

    regions: dict[str, str]
    """Predictor -> its region, for those whose entry names one."""
    hosts: dict[str, str] = field(default_factory=dict, metadata=LEFT_OUT_EMPTY)
    """Predictor -> its host, for those whose entry names another one than the router's; no such key where none does."""

    @property
    def actives(self) -> list[str]:
        """The predictors that are active by plan."""
        return [name for name, role in self.roles.items() if role == "active"]

    @property
    def standbys(self) -> list[str]:
        """The others."""
        return [name for name, role in self.roles.items() if role != "active"]

    def slots_of(self, names: Iterable[str]) -> int:
        """The slots of these predictors."""
        return sum(self.capacities[name] for name in names)

    def largest_domain(self) -> list[str]:
        """The predictors that one failure could take out together: a region where entries name some, else one.

        Of those with an active predictor the one with the most slots, the first in file order among equals.
        """
        if self.regions:
            domains = [[n for n, region in self.regions.items() if region == r] for r in self.regions.values()]
        else:
            domains = [[name] for name in self.capacities]
        exposed = [domain for domain in domains if set(domain) & set(self.actives)]
        return max(exposed or domains, key=self.slots_of)


@dataclass(frozen=True)
class OfferedLoad:
    """One load under which faults strike, the same for every topology."""

    name: str
    """Calm or n+1."""
    rate_per_s: float
    """Requests offered per second."""
    reason: str
    """Where the rate comes from, in words."""
    faults: list[str]
    """The faults that strike under it, in their order."""


@dataclass(frozen=True, kw_only=True)
class FailoverSettings(Settings):
    """What a failover run was asked for, and on what it ran."""

    ORDER: ClassVar = (
        "experiment", "command", "started_at", "topologies", "faults", "repeats", "seed", "rate_per_s", "rate_reason",
        "pacing_s", "service_time_s", "threshold", "hold_down_s", "repair_after_s", "window_s",
        "capacity_service_time_s", "capacity_spawn_rate_per_s", "capacity_wait_s", "at_once", "machine", "versions",
        "engine", "supervised", "loads", "resend", "load_time_s", "until_decided", "most_time_s", "margins", "server",
        "left_out", "routers",
    )  # fmt: skip

    topologies: list[DomainPlan]
    """The topologies, in the order asked for."""
    faults: list[str]
    """The faults of a run, in their order."""
    repeats: int
    """How many runs of each topology were asked for."""
    seed: int
    """What repeats the random choices."""
    rate_per_s: float
    """Requests offered per second."""
    rate_reason: str
    """Where the rate comes from, in words."""
    pacing_s: float
    """Each user sends once in this time."""
    threshold: int
    """Capacity of a predictor whose entry names none."""
    hold_down_s: float
    """The router's hold-down."""
    repair_after_s: float
    """The operator's delay: from a fault to its repair."""
    window_s: float
    """A fault's window lasts this long, or until everything is back as planned, whichever is later."""
    capacity_service_time_s: float
    """How long a prediction takes in the swarms that measure production capacity."""
    capacity_spawn_rate_per_s: float
    """New users per second in the swarms that measure production capacity; 0: it is not measured."""
    capacity_wait_s: list[float]
    """The least and the most wait of their users."""
    supervised: bool = field(default=False, metadata=LEFT_OUT_EMPTY)
    """Whether the router had a supervisor and a spare; records without it are of a router that was one process."""
    loads: list[OfferedLoad] = field(default_factory=list)
    """The loads under which faults strike, in their order; records that do not say are of the calm one alone."""
    resend: bool = True
    """Whether the router sends a request again that may have run."""
    load_time_s: float = 0.0
    """How long a predictor loads its model before it serves."""
    until_decided: bool = False
    """Whether repeats were added until every claim had a verdict."""
    left_out: dict[str, str] = field(default_factory=dict, metadata=LEFT_OUT_EMPTY)
    """Fault -> why it was left out of the run; no such key where none was."""
    most_time_s: float | None = None
    """After this time no further repeat was begun; null where their number was fixed."""

    @property
    def expected_load_s(self) -> float:
        """About how long a predictor loads its model, of a user's server as measured."""
        return self.server.preflight.ready_after_s if self.server else self.load_time_s

    @property
    def offered_loads(self) -> list[OfferedLoad]:
        """The loads, that of records of before included."""
        return self.loads or [OfferedLoad(CALM, self.rate_per_s, self.rate_reason, self.faults)]

    def erlangs(self, load: OfferedLoad) -> float | None:
        """The load as requests in flight in the mean, were none refused; None where theory does not apply."""
        return None if self.why_no_theory else load.rate_per_s * self.service_time_s


@dataclass(frozen=True)
class FailoverRun:
    """One run of one topology."""

    topology: str
    """The topology's name."""
    repeat: int
    """The run's number among those of its topology, from 1."""
    started_at_s: float
    """Epoch seconds, as all moments in the records."""
    ended_at_s: float
    """Epoch seconds when it had ended."""


@dataclass(frozen=True, kw_only=True)
class SteadyRequest(RequestRecord):
    """One finished request of the steady load."""

    ORDER: ClassVar = ("due_at_s", "sent_at_s", "latency_s", "kind", "status", "reason", "predictor")

    due_at_s: float
    """When it was to be sent."""
    kind: str
    """What it is: normal, more, surge, saturation or oversize."""


@dataclass(frozen=True)
class Action:
    """One step of a fault."""

    time_s: float
    """Epoch seconds."""
    window: int
    """The fault's number in the run, from 1."""
    fault: str
    """The fault's name."""
    action: str
    """What was done: injected, missed (it is not proven that it struck), repair, repaired, put back (a standby that
    the load kept promoted), recovered, window ended, skipped, or a fault's own."""
    target: str
    """The predictors (with + between), the router, or in a skipped or missed fault the reason."""
    load: str = CALM
    """The load under which it struck."""


@dataclass(frozen=True)
class FaultRun:
    """Everything that was recorded of one finished run."""

    folder: Path
    run: FailoverRun
    actions: list[Action]
    requests: list[SteadyRequest]
    events: list[Event]
    loads: list[LoadSample]
    capacity: dict[str, RunRecords]
    """ALL_UP and DOMAIN_DOWN -> the swarm's records, where it was measured."""


def read_fault_runs(folder: Path) -> list[FaultRun]:
    """Reads every finished run, by topology and repeat. Raises UsageError for a damaged file."""
    runs = [_read_fault_run(path.parent) for path in folder.glob(f"*/{RUN}")]
    return sorted(runs, key=lambda records: (records.run.topology, records.run.repeat))


def _read_fault_run(folder: Path) -> FaultRun:
    return FaultRun(
        folder=folder,
        run=read_record(FailoverRun, folder / RUN),
        actions=list(read_rows(Action, folder / ACTIONS)),
        requests=read_requests(folder),
        events=read_record(list[Event], folder / EVENTS),
        loads=list(read_rows(LoadSample, folder / LOADS)),
        capacity={part: read_run(folder / part) for part in CAPACITY_FOLDERS if (folder / part / RUN).is_file()},
    )


def read_requests(folder: Path) -> list[SteadyRequest]:
    """Reads the requests of a run, finished or not, in the order of sending. Raises UsageError for a damaged file."""
    requests = [row for path in request_files(folder) for row in read_rows(SteadyRequest, path)]
    return sorted(requests, key=lambda request: request.sent_at_s)


FILES = (
    RecordFile(
        "summary.json",
        "experiments.failover.summary:FailoverSummary",
        "The scorecard: what report, tables and charts show.",
        definitions="experiments.failover.metrics:DEFINITIONS",
        figures="experiments.failover.metrics:METRIC",
    ),
    RecordFile(SETTINGS, FailoverSettings, "What was asked for, on which machine; written before the first run."),
    RecordFile(
        RUN,
        FailoverRun,
        "One run, in `<topology>-<repeat>/`; written last. `loads.csv`, `events.json` and the swarms in "
        "`capacity-all-up/` and `capacity-domain-down/` are laid out as in a comparison.",
    ),
    RecordFile(
        REQUESTS,
        SteadyRequest,
        "One row per finished request (`requests.<kind>.csv`: what a greater load or a fault adds).",
    ),
    RecordFile(ACTIONS, Action, "One row per step of a fault."),
)
"""What a run folder holds of a failover run."""
