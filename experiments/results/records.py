"""The records that several experiments leave, and how one names its files. What is written where: store.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from importlib import import_module
from typing import Any, ClassVar

from experiments.options import DEFAULT_ENGINE, ENGINES, Margins
from experiments.theory.loss_model import why_no_loss_model


@dataclass(frozen=True)
class RecordFile:
    """One file of a run folder; each experiment lists its own as FILES of its records module."""

    name: str
    kind: Any
    """The class of its contents or of a row, `list[class]`, or the class's dotted name (package.module:Name)."""
    what: str
    """What it holds, in a sentence."""
    definitions: str = ""
    """Dotted name of the mapping figure -> definition, for fields that are figures."""
    figures: str = ""
    """Dotted name of the figures' names, for its objects called `figures`."""


def record_files(experiment: str) -> tuple[RecordFile, ...]:
    """The files that the experiment of that name leaves."""
    files: tuple[RecordFile, ...] = import_module(f"experiments.{experiment}.records").FILES
    return files


LOAD_AVERAGE = "load average at the start (1, 5, 15 min)"
"""Its key in the description of the machine."""

LEFT_OUT_EMPTY = {"left out empty": True}
"""Metadata of a field that a JSON file has only where its value is not empty: records without it stay as they were."""


def field_names(kind: Any) -> list[str]:
    """The names of a record's fields in the order of its file: as in its class, unless that gives an ORDER."""
    names = [field.name for field in fields(kind)]
    order: Sequence[str] = getattr(kind, "ORDER", names)
    return sorted(names, key=order.index)


@dataclass(frozen=True)
class PreflightFigures:
    """How one predictor of a user's own server took load, measured before the first run, without a router."""

    predictor: str
    """Which one: of the user's own that with the greatest capacity, the first of several; others were not measured."""
    ready_after_s: float
    """From its start to its first good prediction."""
    service_time_s: float
    """The median of good answers, one request at a time: settings and loads go by it."""
    fastest_s: float
    """The fastest of these answers."""
    slowest_s: float
    """The slowest of them."""
    asked_alone: int
    """How many predictions were asked for one at a time."""
    at_once: int
    """How many were then in flight together: its capacity, 64 at most."""
    latency_at_once_s: float | None
    """The median of good answers with so many in flight; null where there was none."""
    asked_at_once: int
    """How many predictions were asked for so."""
    good_at_once: int
    """Those of them that got a good answer."""
    mean_s: float | None = field(default=None, metadata=LEFT_OUT_EMPTY)
    """The mean of good answers, one request at a time: `choose` goes by it; no such key in old records."""
    answers_per_s: float | None = field(default=None, metadata=LEFT_OUT_EMPTY)
    """Good answers per second with so many in flight, from the first answer on; no such key in old records."""

    @property
    def why_no_theory(self) -> str:
        """Why theory says nothing about it, without a full stop; empty where it applies."""
        return why_no_loss_model(
            self.service_time_s, self.at_once, self.latency_at_once_s, self.asked_at_once, self.good_at_once
        )

    @property
    def holding_time_s(self) -> float:
        """How long a request holds a slot with all of them held: longer than alone where it queues."""
        return max(self.service_time_s, self.latency_at_once_s or 0.0) if self.why_no_theory else self.service_time_s


@dataclass(frozen=True)
class ServerRecord:
    """The server that the predictors were, where it was not the rig's own; no header's value is kept."""

    file: str
    """The server file's name; empty where the topology's entries alone say what they are."""
    command: list[str]
    """What started it, placeholders unfilled; empty where hooks did."""
    path: str
    """Where predictions were sent."""
    health: str | None
    """Where health checks were sent; null: a connection was enough."""
    payload_bytes: int | None
    """The payload's size; null: loads sent GET."""
    payload_sha256: str | None
    """Its SHA-256."""
    headers: list[str]
    """The names of the headers that were sent."""
    capacity: int | None
    """The server file's capacity; null: the threshold."""
    preflight: PreflightFigures
    """What was measured of it before the first run."""
    differ: bool = field(default=False, metadata=LEFT_OUT_EMPTY)
    """Whether other predictors were other servers, which were not measured; no such key where none was."""

    @property
    def why_no_theory(self) -> str:
        """Why theory says nothing about the predictors, without a full stop; empty where it applies."""
        if self.differ:
            return f"the predictors differ, and {self.preflight.predictor} alone was measured"
        return self.preflight.why_no_theory

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.file.removesuffix(".json") or "servers that the topology names"


BYTES_PER_MB = 1_000_000
"""A megabyte, as `--service-time-per-mb` counts."""


@dataclass(frozen=True)
class PayloadRecord:
    """The JSON file that every user POSTed to the rig's own predictors."""

    file: str
    """The file's name."""
    size_bytes: int
    """Its size."""
    sha256: str
    """Its SHA-256."""

    def takes_s(self, per_mb_s: float) -> float:
        """How much longer a prediction takes for it, in seconds, where it takes `per_mb_s` for each megabyte."""
        return per_mb_s * self.size_bytes / BYTES_PER_MB


@dataclass(frozen=True)
class RouterRecord:
    """A router that was not this project's; its configuration stands in each run's folder."""

    name: str
    """The router file's name."""
    version: str
    """What it says of its version; empty where it says nothing."""
    command: list[str]
    """What started it, placeholders unfilled."""
    config: str
    """The name of its configuration's template."""
    config_sha256: str
    """The template's SHA-256."""


@dataclass(frozen=True)
class TopologyPlan:
    """One topology of an experiment: its predictors in file order, with their capacity and their role by plan."""

    name: str
    """The deployment's name: the topology's; where several routers were chosen, topology / router."""
    capacities: dict[str, int]
    """Predictor -> its capacity, the most requests in flight that it is given."""
    roles: dict[str, str]
    """Predictor -> active or standby, by plan."""
    cold: list[str] = field(default_factory=list, kw_only=True)
    """The standbys whose processes are started only when they are wanted."""
    topology: str = field(default="", kw_only=True, metadata=LEFT_OUT_EMPTY)
    """The topology's name; no such key where the name is that."""
    router: str = field(default="", kw_only=True, metadata=LEFT_OUT_EMPTY)
    """Its router; no such key where the settings' `engine` is."""

    def is_beside(self, other: "TopologyPlan") -> bool:
        """Whether the two have topology or router in common: where both differ, a difference tells of neither."""
        return self.topology == other.topology or self.router == other.router

    @property
    def slots(self) -> int:
        """The most requests in flight with every predictor in rotation, standbys included."""
        return sum(self.capacities.values())

    @property
    def warm_slots(self) -> int:
        """Those that are there at once: without the cold standbys'."""
        return sum(capacity for name, capacity in self.capacities.items() if name not in self.cold)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an experiment was asked for, and on what it ran."""

    ORDER: ClassVar[Sequence[str]]
    """The order of the keys in settings.json, the shared ones among the experiment's own."""

    experiment: str
    """Which experiment's records these are."""
    command: str
    """The command line that repeats it."""
    started_at: str
    """Local date and time, ISO 8601."""
    service_time_s: float
    """How long a prediction takes."""
    machine: dict[str, str]
    """Processor, cores, memory, system, and the load average when it began."""
    versions: dict[str, str]
    """Python, the project's commit, and each package that shapes the figures."""
    at_once: int = 1
    """How many runs, or points, went side by side; records that do not say are of one after the other."""
    margins: Margins = field(default_factory=Margins)
    """Differences smaller than these count as none in verdicts."""
    server: ServerRecord | None = field(default=None, metadata=LEFT_OUT_EMPTY)
    """The user's own server; no such key where the predictors were the rig's own."""
    topologies: Sequence[TopologyPlan]
    """The deployments, by their plans."""
    engine: str = field(default="", metadata=LEFT_OUT_EMPTY)
    """The engine of this project's router, where that alone carried the requests; no such key where each topology's
    plan names its router, and in records that are of the Flask engine for sure."""
    routers: list[RouterRecord] = field(default_factory=list, metadata=LEFT_OUT_EMPTY)
    """The routers that were not this project's; no such key where none was."""

    @property
    def has_own_router_alone(self) -> bool:
        """Whether this project's router, with one engine, stood before every topology."""
        return not self.routers and not any(plan.router for plan in self.topologies)

    def plan_of(self, name: str) -> TopologyPlan:
        """The deployment of that name."""
        return next(plan for plan in self.topologies if plan.name == name)

    def router_of(self, plan: TopologyPlan) -> str:
        """The router of that deployment."""
        return plan.router or self.engine or DEFAULT_ENGINE

    def is_foreign(self, plan: TopologyPlan) -> bool:
        """Whether that is not this project's: it has no admin port, so that what it did is not known."""
        return self.router_of(plan) not in ENGINES

    @property
    def load_average(self) -> float | None:
        """The machine's load average of the minute before the start; None where the record has none."""
        first = self.machine.get(LOAD_AVERAGE, "").partition(",")[0]
        return float(first) if first else None

    @property
    def cores(self) -> int | None:
        """The machine's cores; None where they are not known."""
        count = self.machine.get("cores", "")
        return int(count) if count.isdecimal() else None

    @property
    def why_no_theory(self) -> str:
        """Why queueing theory says nothing about these runs, without a full stop; empty where it applies."""
        return self.server.why_no_theory if self.server else ""

    @property
    def holding_time_s(self) -> float:
        """How long a request holds a slot when all are held, in seconds: loads and deadlines go by it."""
        return self.server.preflight.holding_time_s if self.server else self.service_time_s


REFUSED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
"""What routers answer, whichever they are, where nobody can serve a request now."""


@dataclass(frozen=True, kw_only=True)
class RequestRecord:
    """One finished request, as its sender saw it."""

    ORDER: ClassVar[Sequence[str]]
    """The order of the columns."""

    sent_at_s: float
    """Epoch seconds."""
    latency_s: float
    """From sending to the end of the answer, or to the failure."""
    status: int
    """HTTP status; 0 when there was no answer."""
    reason: str
    """The router's reason or the transport error; empty for a good answer."""
    predictor: str
    """Who answered; empty where nobody did."""

    @property
    def good(self) -> bool:
        """Whether it got a good answer."""
        return self.reason == ""

    @property
    def failed(self) -> bool:
        """Whether it got none."""
        return not self.good

    @property
    def refused(self) -> bool:
        """Whether it got an answer that it will not be served now, in place of a good one."""
        return self.failed and self.status in REFUSED


@dataclass(frozen=True)
class LoadSample:
    """One predictor at one moment, as the router's admin port gave it."""

    time_s: float
    """Epoch seconds."""
    predictor: str
    """The predictor's name."""
    status: bool
    """Whether it was in rotation."""
    load: int
    """Its requests in flight, as the router counts them."""
    capacity: int
    """The predictor's capacity."""
    state: str
    """The router's word: serving, standby, draining, drained, down and so on."""
    served: int
    """Good answers so far."""
    failed: int
    """Failed requests so far."""


@dataclass(frozen=True)
class Event:
    """One entry of the router's event log."""

    time: float
    """Epoch seconds."""
    event: str
    """What happened: ejected, promoted, readmitted, demoted, drained, ready, refused and so on."""
    predictor: str
    """The predictor that it is about; empty where it is about none."""
    reason: str
    """Why, in words."""
