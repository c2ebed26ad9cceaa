"""The files of a failover run: settings, and per topology and repeat requests, fault actions, events and loads."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import UsageError
from experiments.compare.records import RunRecords, read_run
from experiments.options import DEFAULT_ENGINE
from experiments.results.records import Event, LoadSample, TopologyPlan
from experiments.results.store import EVENTS, LOADS, RUN, SETTINGS, build, read_json, read_rows, request_files

FAILOVER = "failover"
"""The experiment's name in settings.json."""

ACTIONS = "faults.csv"
CAPACITY_FOLDERS = ("capacity-all-up", "capacity-domain-down")
ALL_UP, DOMAIN_DOWN = CAPACITY_FOLDERS

NORMAL, SURGE, OVERSIZE = "normal", "surge", "oversize"
"""What a request of the load is, as it is recorded."""

SKIPPED, INJECTED, REPAIR, REPAIRED, PUT_BACK, RECOVERED, ENDED = (
    "skipped", "injected", "repair", "repaired", "put back", "recovered", "window ended",
)  # fmt: skip
"""Fault actions; a fault may add its own."""

LAYOUT = """\
results/<run>/
    settings.json             Settings: what was asked for, on which machine, with which versions
    <topology>-<repeat>/      one run of one topology: every fault in turn, under one steady load
        run.json              Run: when it began and ended; written last: a folder without it is unfinished
        faults.csv            Action: one row per step of a fault: injected, repair, repaired, recovered, window ended
        requests.csv          Offered: one row per finished request (requests.<kind>.csv: surge, oversize bodies)
        events.json           Event: the routers' own event logs, of all routers of the run
        loads.csv             LoadSample: one row per predictor, about five times a second, from the admin port
        capacity-all-up/      a swarm until its first failure with everything up, as `compare` records it
        capacity-domain-down/ the same with the largest failure domain down
        topology/, logs/      the topology file on this run's ports; every process's output
"""
"""What stands where in a run folder."""


@dataclass(frozen=True)
class DomainPlan(TopologyPlan):
    """A topology's plan, and the region of each predictor whose entry names one."""

    regions: dict[str, str]

    @property
    def actives(self) -> list[str]:
        """The predictors that are active by plan."""
        return [name for name, role in self.roles.items() if role == "active"]

    @property
    def standbys(self) -> list[str]:
        """The others."""
        return [name for name, role in self.roles.items() if role != "active"]

    @property
    def active_slots(self) -> int:
        """The slots in rotation when all is as planned."""
        return self.slots_of(self.actives)

    def slots_of(self, names: Sequence[str]) -> int:
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
class Settings:
    """What was asked for, and on what it ran."""

    experiment: str
    command: str
    """The command line that repeats it."""
    started_at: str
    """Local date and time, ISO 8601."""
    topologies: list[DomainPlan]
    faults: list[str]
    repeats: int
    seed: int
    rate_per_s: float
    """Requests offered per second."""
    rate_reason: str
    """Where the rate comes from, in words."""
    pacing_s: float
    """Each user sends once in this time."""
    service_time_s: float
    threshold: int
    hold_down_s: float
    repair_after_s: float
    """The operator's delay: from a fault to its repair."""
    window_s: float
    """A fault's window lasts this long, or until everything is back as planned, whichever is later."""
    capacity_service_time_s: float
    capacity_spawn_rate_per_s: float
    """New users per second in the swarms that measure production capacity; 0: it is not measured."""
    capacity_wait_s: list[float]
    at_once: int
    """How many runs went side by side."""
    machine: dict[str, str]
    versions: dict[str, str]
    engine: str = DEFAULT_ENGINE
    """What carried the requests; records that do not say are of the Flask engine."""


@dataclass(frozen=True)
class Run:
    """One run of one topology."""

    topology: str
    repeat: int
    started_at_s: float
    """Epoch seconds, as all moments in the records."""
    ended_at_s: float


@dataclass(frozen=True)
class Offered:
    """One finished request of the steady load."""

    due_at_s: float
    """When it was to be sent."""
    sent_at_s: float
    latency_s: float
    kind: str
    """NORMAL, SURGE or OVERSIZE."""
    status: int
    """HTTP status; 0 when there was no answer."""
    reason: str
    """The router's reason or the transport error; empty for a good answer."""
    predictor: str

    @property
    def good(self) -> bool:
        """Whether it was answered well."""
        return self.reason == ""

    @property
    def lateness_s(self) -> float:
        """How much later than planned the generator sent it."""
        return self.sent_at_s - self.due_at_s


@dataclass(frozen=True)
class Action:
    """One step of a fault."""

    time_s: float
    window: int
    """The fault's number in the run, from 1."""
    fault: str
    action: str
    target: str
    """The predictors (with + between), the router, or in a skipped fault the reason."""


@dataclass(frozen=True)
class FaultRun:
    """Everything that was recorded of one finished run."""

    folder: Path
    run: Run
    actions: list[Action]
    requests: list[Offered]
    events: list[Event]
    loads: list[LoadSample]
    capacity: dict[str, RunRecords]
    """ALL_UP and DOMAIN_DOWN -> the swarm's records, where it was measured."""


def read_settings(folder: Path) -> Settings:
    """Read a failover run's settings. Raises UsageError."""
    path = folder / SETTINGS
    document = read_json(path)
    plans = [build(DomainPlan, plan, path) for plan in document["topologies"]]
    return dataclasses.replace(build(Settings, document, path), topologies=plans)


def read_fault_runs(folder: Path) -> list[FaultRun]:
    """Read every finished run, by topology and repeat. Raises UsageError for a damaged file."""
    runs = [read_fault_run(path.parent) for path in folder.glob(f"*/{RUN}")]
    if not runs:
        raise UsageError(f"{folder}: no run in it was finished, so there is nothing to report")
    return sorted(runs, key=lambda records: (records.run.topology, records.run.repeat))


def read_fault_run(folder: Path) -> FaultRun:
    """Read one finished run. Raises UsageError for a damaged file."""
    return FaultRun(
        folder=folder,
        run=build(Run, read_json(folder / RUN), folder / RUN),
        actions=list(read_rows(Action, folder / ACTIONS)),
        requests=read_offered(folder),
        events=[build(Event, event, folder / EVENTS) for event in read_json(folder / EVENTS)],
        loads=list(read_rows(LoadSample, folder / LOADS)),
        capacity={part: read_run(folder / part) for part in CAPACITY_FOLDERS if (folder / part / RUN).is_file()},
    )


def read_offered(folder: Path) -> list[Offered]:
    """Read the requests of a run, finished or not, in the order of sending. Raises UsageError for a damaged file."""
    requests = [row for path in request_files(folder) for row in read_rows(Offered, path)]
    return sorted(requests, key=lambda request: request.sent_at_s)
