"""What a comparison comes to: summary.json's classes; computed in summarize.py."""

from dataclasses import dataclass

from experiments.compare.agreement import Verdict
from experiments.compare.figures import RunFigures
from experiments.compare.records import Settings
from experiments.results.statistics import RunStats
from experiments.theory.first_failure import Prediction

SCHEMA_NAME = "compare/1"
SATURATED = "saturated"

YOUNGEST_S = 1.0
"""A rate over a shorter window than this tells of the users' coming, not of what the topology carries."""


@dataclass(frozen=True)
class JudgedRun(RunFigures):
    """A run's figures, and whether its rate lies in theory's range."""

    inside_theory: bool | None


@dataclass(frozen=True)
class PredictorLoads:
    """One predictor's load at the first failure and its peak until then, over the repeats."""

    load: RunStats | None
    peak_load: RunStats | None


@dataclass(frozen=True)
class PostFigures:
    """What the blog post gives for a topology."""

    rate_at_failure_per_s: float | None
    loads: dict[str, int]


@dataclass(frozen=True)
class TopologySummary:
    """One topology over its repeats; docs/results-schema.md says what each field is."""

    topology: str
    slots: int
    roles: dict[str, str]
    runs: list[JudgedRun]
    rate_at_first_failure_per_s: RunStats | None
    time_s: RunStats | None
    users: RunStats | None
    causes: dict[str, int]
    loads: dict[str, PredictorLoads]
    theory: Prediction
    runs_inside_theory: int
    post: PostFigures

    @property
    def failed_at_once(self) -> bool:
        """Whether its first failure came before there was time to tell a rate."""
        return self.time_s is not None and self.time_s.median < YOUNGEST_S

    @property
    def saturated(self) -> bool:
        """Whether it failed at least once, and only ever by saturation: what theory and comparison assume."""
        return set(self.causes) == {SATURATED}


@dataclass(frozen=True)
class Summary:
    """A whole comparison; docs/results-schema.md says what each field is."""

    schema: str
    finding: list[str]
    settings: Settings
    topologies: list[TopologySummary]
    agreement: list[Verdict]
    definitions: dict[str, str]
