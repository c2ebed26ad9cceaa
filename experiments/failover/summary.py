"""What a failover run comes to: summary.json's classes; computed in summarize.py."""

from dataclasses import dataclass

from experiments.failover.claims import Verdict
from experiments.failover.records import FailoverSettings
from experiments.failover.windows import WindowFigures
from experiments.results.statistics import RunStats

SCHEMA_NAME = "failover/1"

FIGURES = (
    "capacity_in_region_per_s", "capacity_out_of_region_per_s", "availability", "planned_availability",
    "lost_per_fault", "capacity_lost_share", "worst_added_wait_s", "recovery_s", "redundancy_s", "response_s",
    "standby_answer_s", "surge_availability",
)  # fmt: skip
"""The scorecard's figures of a topology, each over the repeats."""


@dataclass(frozen=True)
class TopologySummary:
    """One topology: its figures over the repeats, and every window."""

    topology: str
    """The topology's name."""
    slots: int
    """The most requests in flight with every predictor in rotation, standbys included."""
    roles: dict[str, str]
    """Predictor -> active or standby, by plan."""
    largest_domain: list[str]
    """The predictors that the out-of-region capacity does without."""
    figures: dict[str, RunStats | None]
    """The scorecard."""
    windows: list[WindowFigures]
    """One entry per fault and run."""
    skipped: dict[str, str]
    """Fault -> why it was skipped."""

    def cell(self, fault: str) -> list[WindowFigures]:
        """The fault's windows, over the repeats; those in which the generator lagged too."""
        return [window for window in self.windows if window.fault == fault]


@dataclass(frozen=True)
class Summary:
    """A whole failover run."""

    schema: str
    """Name and version of this layout."""
    finding: list[str]
    """The result in sentences, the headline first."""
    settings: FailoverSettings
    """As in settings.json."""
    topologies: list[TopologySummary]
    """One entry per topology with a finished run, in the order asked for."""
    verdicts: list[Verdict]
    """The post's claims and what became of them."""
    definitions: dict[str, str]
    """Figure -> its definition in one sentence."""
