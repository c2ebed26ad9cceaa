"""What a failover run comes to, as summary.json: the figures, then what they say."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.failover.claims import CLAIMS, ClaimVerdict, judge
from experiments.failover.figures import TopologyScorecard, measure_runs, score_topologies
from experiments.failover.findings import findings
from experiments.failover.metrics import DEFINITIONS
from experiments.failover.records import FailoverSettings, FaultRun

SCHEMA_NAME = "failover/1"


@dataclass(frozen=True)
class FailoverSummary:
    """A whole failover run."""

    schema: str
    """Name and version of this layout."""
    finding: list[str]
    """The result in sentences, the headline first."""
    settings: FailoverSettings
    """As in settings.json."""
    topologies: list[TopologyScorecard]
    """One entry per topology with a finished run, in the order asked for."""
    verdicts: list[ClaimVerdict]
    """The post's claims and what became of them."""
    definitions: dict[str, str]
    """Figure -> its definition in one sentence."""


def summarize(settings: FailoverSettings, runs: Sequence[FaultRun]) -> FailoverSummary:
    """Computes the summary; topologies without a finished run are left out."""
    measured = measure_runs(settings, runs)
    topologies = score_topologies(settings, measured)
    pooled = frozenset[str]().union(*(run.pooled for run in measured))
    verdicts = [judge(claim, {each.topology: each.figures[claim.figure] for each in topologies}) for claim in CLAIMS]
    return FailoverSummary(
        SCHEMA_NAME,
        findings(settings, topologies, pooled),
        settings,
        topologies,
        [verdict for verdict in verdicts if verdict is not None],
        DEFINITIONS,
    )
