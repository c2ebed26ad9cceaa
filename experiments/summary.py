"""What a comparison comes to: summary.json's classes and schema. How it is computed is in summarize.py."""

from dataclasses import dataclass

from experiments.agreement import Verdict
from experiments.metrics import Repeats, RunFigures
from experiments.records import Settings
from experiments.theory import Prediction

SUMMARY = "summary.json"
SCHEMA_NAME = "compare/1"
SATURATED = "saturated"

REPEATS = "over the repeats in which something failed: median, low, high, count; null when nothing failed"

SCHEMA = {
    "schema": f"name and version of this layout: {SCHEMA_NAME}",
    "finding": "the result in sentences",
    "settings": "what was asked for, machine and versions, as recorded before the first run (settings.json)",
    "definitions": "figure -> its definition in one sentence",
    "topologies[]": "one entry per topology, in the order asked for",
    "topologies[].topology": "its name",
    "topologies[].slots": "the most requests in flight with every predictor in rotation, standbys included",
    "topologies[].roles": "predictor -> active or standby, by plan",
    "topologies[].runs[]": "one entry per repeat: repeat, outcome (first_failure or no_failure), figures as defined",
    "topologies[].runs[].first_failure": "its figures as defined; null when nothing failed within the run time",
    "topologies[].runs[].first_failure.loads": "predictor -> load, peak_load, capacity, status (in rotation)",
    "topologies[].runs[].inside_theory": "whether its rate lies in theory's 5-95 % range; null where one is missing",
    "topologies[].rate_at_first_failure_per_s": REPEATS,
    "topologies[].time_s": REPEATS,
    "topologies[].users": REPEATS,
    "topologies[].causes": "cause -> number of runs whose first failure had it",
    "topologies[].loads": "predictor -> load and peak_load at the first failure, each " + REPEATS,
    "topologies[].theory": "what queueing theory expects of one run at these settings: rate_per_s, users and time_s at "
    "first failure (median, p5, p95; null, with a note, where there is none), share_reached: of runs, in the run time",
    "topologies[].runs_inside_theory": "how many runs' rates lie in theory's 5-95 % range",
    "topologies[].post": "the blog post's own rate_at_failure_per_s and loads (after its test), where it has them",
    "agreement[]": "each pair of topologies: verdict (agree, differ, not decided), difference_per_s of the medians, "
    "single_runs_vary_by_per_s (half of theory's 5-95 % range of the difference of two runs), sentence",
}
"""Where a value stands in summary.json -> what it is."""


@dataclass(frozen=True)
class JudgedRun(RunFigures):
    """A run's figures, and whether its rate lies in theory's range."""

    inside_theory: bool | None


@dataclass(frozen=True)
class PredictorLoads:
    """One predictor's load at the first failure and its peak until then, over the repeats."""

    load: Repeats | None
    peak_load: Repeats | None


@dataclass(frozen=True)
class PostFigures:
    """What the blog post gives for a topology."""

    rate_at_failure_per_s: float | None
    loads: dict[str, int]


@dataclass(frozen=True)
class TopologySummary:
    """One topology over its repeats; SCHEMA says what each field is."""

    topology: str
    slots: int
    roles: dict[str, str]
    runs: list[JudgedRun]
    rate_at_first_failure_per_s: Repeats | None
    time_s: Repeats | None
    users: Repeats | None
    causes: dict[str, int]
    loads: dict[str, PredictorLoads]
    theory: Prediction
    runs_inside_theory: int
    post: PostFigures

    @property
    def saturated(self) -> bool:
        """Whether it failed at least once, and only ever by saturation: what theory and comparison assume."""
        return set(self.causes) == {SATURATED}


@dataclass(frozen=True)
class Summary:
    """A whole comparison; SCHEMA says what each field is."""

    schema: str
    finding: list[str]
    settings: Settings
    topologies: list[TopologySummary]
    agreement: list[Verdict]
    definitions: dict[str, str]
