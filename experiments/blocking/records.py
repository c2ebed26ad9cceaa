"""The files of a blocking run: settings, one folder per point, one row per request. No figure is computed here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

from experiments.options import ENGINES
from experiments.results.records import LEFT_OUT_EMPTY, RecordFile, RequestRecord, Settings, TopologyPlan
from experiments.results.store import REQUESTS, RUN, SETTINGS, read_record, read_rows

BLOCKING = "blocking"
"""The experiment's name in settings.json."""

REFUSALS = ("saturated", "busy")
"""The reasons of refusals: no slot was free by the router's count, or every predictor said that it is full."""

REFUSING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
"""What a router that is not this project's answers where all slots are held."""

LAYOUT = """\
results/<run>/
    settings.json            Settings: what was asked for, on which machine, with which versions
    <slots>-slots-<percent>/ one point: so many slots, and the blocking that its load was chosen for;
                             with --topologies <topology>-<percent>/
        run.json             Point: what was offered; written last: a folder without it is unfinished
        requests.csv         Arrival: one row per request, by the generator
        topology/, logs/     the topology file on this run's ports; every process's output
"""
"""What stands where in a run folder."""


@dataclass(frozen=True, kw_only=True)
class BlockingSettings(Settings):
    """What a blocking run was asked for, and on what it ran."""

    ORDER: ClassVar = (
        "experiment", "command", "started_at", "service_time_s", "arrivals", "seed", "machine", "versions", "at_once",
        "margins", "topologies", "server", "engine", "routers",
    )  # fmt: skip

    arrivals: int
    """Counted requests per point, those of the warm-up not among them."""
    seed: int
    """What repeats the random choices."""
    topologies: list[TopologyPlan] = field(default_factory=list, metadata=LEFT_OUT_EMPTY)
    """The topologies that were offered the same arrivals; no such key where numbers of slots were checked."""


@dataclass(frozen=True)
class Point:
    """One load offered to one number of slots, or to one topology."""

    slots: int
    """The sum of the capacities."""
    capacities: dict[str, int]
    """Predictor -> its slots."""
    aimed_blocking: float
    """The refused share for which the load was chosen, had service taken no more than its set time."""
    rate_per_s: float
    """Arrivals per second that the schedule was drawn for."""
    warm_up_arrivals: int
    """The first arrivals, which find the rig emptier than later ones and are not counted."""
    arrivals: int
    """Counted arrivals, after those."""
    seed: int
    """Of this point's schedule; points with the same seed and rate were offered the same moments."""
    topology: str = field(default="", metadata=LEFT_OUT_EMPTY)
    """The deployment's name; no such key where a number of slots was checked."""
    router: str = field(default="", metadata=LEFT_OUT_EMPTY)
    """Its router; no such key where that is this project's with the settings' engine."""


@dataclass(frozen=True, kw_only=True)
class PoissonRequest(RequestRecord):
    """One request, as the generator saw it."""

    ORDER: ClassVar = ("scheduled_at_s", "sent_at_s", "latency_s", "status", "reason", "predictor")

    scheduled_at_s: float
    """Epoch seconds, as drawn before the run."""


@dataclass(frozen=True)
class PointRecords:
    """Everything that was recorded of one finished point; arrivals in the order in which they were sent."""

    folder: Path
    point: Point
    arrivals: list[PoissonRequest]

    def is_refusal(self, arrival: PoissonRequest) -> bool:
        """Whether it found no free slot: by this project's router's reason, by the status of one that gives none."""
        if self.point.router in ("", *ENGINES):
            return arrival.reason in REFUSALS
        return arrival.status in REFUSING

    @property
    def counted(self) -> list[PoissonRequest]:
        """The arrivals after the warm-up."""
        return self.arrivals[self.point.warm_up_arrivals :]


def read_points(folder: Path) -> Sequence[PointRecords]:
    """Reads every finished point, by slots and rate. Raises UsageError for a damaged file."""
    points = [read_point(path.parent) for path in folder.glob(f"*/{RUN}")]
    return sorted(points, key=lambda records: (records.point.slots, records.point.rate_per_s))


def read_point(folder: Path) -> PointRecords:
    """Reads one finished point. Raises UsageError for a damaged file."""
    point = read_record(Point, folder / RUN)
    arrivals = sorted(read_rows(PoissonRequest, folder / REQUESTS), key=lambda arrival: arrival.sent_at_s)
    return PointRecords(folder, point, arrivals)


FILES = (
    RecordFile(
        "summary.json",
        "experiments.blocking.summary:BlockingSummary",
        "The points beside Erlang B, and topologies beside each other: what report, tables and charts show.",
        definitions="experiments.blocking.figures:DEFINITIONS",
    ),
    RecordFile(SETTINGS, BlockingSettings, "What was asked for, on which machine; written before the first point."),
    RecordFile(RUN, Point, "One point, in `<slots>-slots-<percent>/` or `<topology>-<percent>/`; written last."),
    RecordFile(REQUESTS, PoissonRequest, "One row per request, by the generator, those of the warm-up too."),
)
"""What a run folder holds of a blocking run."""
