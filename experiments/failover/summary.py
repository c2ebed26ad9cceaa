"""What a failover run comes to: summary.json's classes; computed in summarize.py."""

from dataclasses import dataclass

from experiments.failover.claims import Verdict
from experiments.failover.records import Settings
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
    slots: int
    roles: dict[str, str]
    largest_domain: list[str]
    figures: dict[str, RunStats | None]
    windows: list[WindowFigures]
    skipped: dict[str, str]

    def cell(self, fault: str) -> list[WindowFigures]:
        """The fault's windows, over the repeats; those in which the generator lagged too."""
        return [window for window in self.windows if window.fault == fault]


@dataclass(frozen=True)
class Summary:
    """A whole failover run."""

    schema: str
    finding: list[str]
    settings: Settings
    topologies: list[TopologySummary]
    verdicts: list[Verdict]
    definitions: dict[str, str]
