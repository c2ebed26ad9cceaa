"""The files of a blocking run: settings, one folder per point, one row per request. No figure is computed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import UsageError
from experiments.results.store import REQUESTS, RUN, SETTINGS, build, read_json, read_rows

BLOCKING = "blocking"
"""The experiment's name in settings.json."""

LAYOUT = """\
results/<run>/
    settings.json            Settings: what was asked for, on which machine, with which versions
    <slots>-slots-<percent>/ one point: so many slots, and the blocking that its load was chosen for
        run.json             Point: what was offered; written last: a folder without it is unfinished
        requests.csv         Arrival: one row per request, by the generator
        topology/, logs/     the topology file on this run's ports; every process's output
"""
"""What stands where in a run folder."""


@dataclass(frozen=True)
class Settings:
    """What was asked for, and on what it ran."""

    experiment: str
    command: str
    """The command line that repeats it."""
    started_at: str
    """Local date and time, ISO 8601."""
    service_time_s: float
    arrivals: int
    """Counted requests per point, those of the warm-up not among them."""
    seed: int
    machine: dict[str, str]
    versions: dict[str, str]
    at_once: int = 1
    """How many points went side by side."""


@dataclass(frozen=True)
class Point:
    """One load offered to one number of slots."""

    slots: int
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
    """Of this point's schedule."""


@dataclass(frozen=True)
class Arrival:
    """One request, as the generator saw it."""

    scheduled_at_s: float
    """Epoch seconds, as drawn before the run."""
    sent_at_s: float
    """Epoch seconds."""
    latency_s: float
    status: int
    """HTTP status; 0 when there was no answer."""
    reason: str
    """The router's reason or the transport error; empty for a good answer."""
    predictor: str

    @property
    def failed(self) -> bool:
        """Whether it got no good answer."""
        return self.reason != ""


@dataclass(frozen=True)
class PointRecords:
    """Everything that was recorded of one finished point; arrivals in the order in which they were sent."""

    folder: Path
    point: Point
    arrivals: list[Arrival]

    @property
    def counted(self) -> list[Arrival]:
        """The arrivals after the warm-up."""
        return self.arrivals[self.point.warm_up_arrivals :]


def read_settings(folder: Path) -> Settings:
    """Read a run folder's settings. Raises UsageError when the folder holds no blocking run."""
    document = read_json(folder / SETTINGS)
    if not isinstance(document, dict) or document.get("experiment") != BLOCKING:
        raise UsageError(f"{folder}: {SETTINGS} is of another experiment; accepted: a folder of {BLOCKING!r}")
    return build(Settings, document, folder / SETTINGS)


def read_points(folder: Path) -> Sequence[PointRecords]:
    """Read every finished point, by slots and rate. Raises UsageError for a damaged file."""
    points = [read_point(path.parent) for path in folder.glob(f"*/{RUN}")]
    return sorted(points, key=lambda records: (records.point.slots, records.point.rate_per_s))


def read_point(folder: Path) -> PointRecords:
    """Read one finished point. Raises UsageError for a damaged file."""
    point = build(Point, read_json(folder / RUN), folder / RUN)
    arrivals = sorted(read_rows(Arrival, folder / REQUESTS), key=lambda arrival: arrival.sent_at_s)
    return PointRecords(folder, point, arrivals)
