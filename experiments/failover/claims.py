"""Whether a claim of the post holds, by the measured ranges, and the words for it.

Criterion: a difference is called one only where the ranges of the repeats do not overlap and chance alone would
separate them so in at most 5 % of experiments of that size (from 4 repeats of each on; agreement.py has the formula).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.failover.metrics import METRIC, Metric
from experiments.page.text import join_words
from experiments.results.statistics import RunStats, ranges_separate

HOLDS = "holds"
FAILS = "does not hold"
NOT_DECIDED = "not decided"

BETTER, WORSE, UNCLEAR = "better", "worse", "unclear"


@dataclass(frozen=True)
class Claim:
    """Something that the post says: one topology is better in a figure than the others."""

    text: str
    topology: str
    figure: str
    """A metric's name."""
    what: str
    """The figure in words."""
    short: str = ""
    """The claim in a few words, for a table's cell."""

    @property
    def metric(self) -> Metric:
        """The metric that it is judged by."""
        return METRIC[self.figure]


CLAIMS = (
    Claim("3-active gives highest availability", "3active", "availability", "availability in faults",
          "3-active highest"),
    Claim("3-active gives lowest failure impacts", "3active", "lost_per_fault", "requests lost per fault",
          "3-active lowest"),
    Claim("2-active might give better resilience to surges", "2active", "surge_availability", "availability",
          "2-active might be better"),
)  # fmt: skip
"""What the post says without measuring it."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim, what became of it, and the figures."""

    claim: str
    """What the post says."""
    figure: str
    """The figure of the scorecard that it is judged by."""
    verdict: str
    """Holds, does not hold or not decided."""
    sentence: str
    """The verdict in words, with its figures."""


def judge(claim: Claim, values: Mapping[str, RunStats | None]) -> ClaimVerdict | None:
    """The verdict on the claim by the figures; None where its topology or all others are not in the table."""
    own = values.get(claim.topology)
    others = {name: value for name, value in values.items() if name != claim.topology and value is not None}
    if own is None or not others:
        return None
    standing = {name: _compare(own, other, claim.metric.more_is_better) for name, other in others.items()}
    if all(rank == BETTER for rank in standing.values()):
        verdict, reason = HOLDS, "no range overlaps that of another topology"
    elif WORSE in standing.values():
        ahead = [name for name, rank in standing.items() if rank == WORSE]
        verdict, reason = FAILS, f"{join_words(ahead)} {'does' if len(ahead) == 1 else 'do'} better"
    else:
        verdict, reason = NOT_DECIDED, _why_undecided(own, {n: others[n] for n, p in standing.items() if p == UNCLEAR})
    figures = ", ".join(
        f"{name} {_describe(value, claim.metric)}" for name, value in {claim.topology: own, **others}.items()
    )
    return ClaimVerdict(claim.text, claim.figure, verdict, f"{claim.what}: {figures}; {reason}.")


def _compare(own: RunStats, other: RunStats, more_is_better: bool) -> str:
    """Whether a topology is better than another in a figure, worse, or neither by the ranges."""
    if not ranges_separate(own, other):
        return UNCLEAR
    return BETTER if (own.low > other.high) == more_is_better else WORSE


def _why_undecided(own: RunStats, unclear: Mapping[str, RunStats]) -> str:
    """Why the figures do not separate the claim's topology from these."""
    alike = [name for name, other in unclear.items() if own.low <= other.high and other.low <= own.high]
    if not alike:
        runs = min(own.count, *(other.count for other in unclear.values()))
        return f"{runs} run{'s are' if runs > 1 else ' is'} too few to call a difference one"
    if all(own == unclear[name] and own.low == own.high for name in alike):
        return f"exactly alike in {join_words(alike)}"
    return f"the ranges overlap with {join_words(alike)}"


def _describe(value: RunStats, metric: Metric) -> str:
    """Median and range."""
    median, low, high = (metric.form.sentence.format(each) for each in (value.median, value.low, value.high))
    spread = f"{low} to {high}" if low != high else "the same"
    runs = "one run" if value.count == 1 else f"{spread} in {value.count} runs"
    return f"{median} ({runs})"
