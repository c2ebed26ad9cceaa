"""The files of a run folder: what was recorded, written as it happens and read back. No figure is computed here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TopologyPlan:
    """One topology of an experiment: its predictors in file order, with their capacity and their role by plan."""

    name: str
    capacities: dict[str, int]
    roles: dict[str, str]

    @property
    def slots(self) -> int:
        """The most requests in flight with every predictor in rotation, standbys included."""
        return sum(self.capacities.values())


@dataclass(frozen=True)
class LoadSample:
    """One predictor at one moment, as the router's admin port told it."""

    time_s: float
    """Epoch seconds."""
    predictor: str
    status: bool
    load: int
    capacity: int
    state: str
    served: int
    failed: int


@dataclass(frozen=True)
class Event:
    """One entry of the router's event log."""

    time: float
    """Epoch seconds."""
    event: str
    predictor: str
    reason: str
