"""Whether a claim of the post holds, by the measured ranges, and the words for it.

Criterion: a difference is called one only where the ranges of the repeats do not overlap and chance alone would
separate them so in at most 5 % of experiments of that size (from 4 repeats of each on; agreement.py has the formula).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.failover.metrics import METRIC, Metric
from experiments.failover.summary import ClaimVerdict, TopologyScorecard
from experiments.page.text import join_words
from experiments.results.statistics import RunStats, ranges_separate

HOLDS = "holds"
FAILS = "does not hold"
NOT_DECIDED = "not decided"


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


CLAIMS = (
    Claim("3-active gives highest availability", "3active", "availability", "availability in faults",
          "3-active highest"),
    Claim("3-active gives lowest failure impacts", "3active", "lost_per_fault", "requests lost per fault",
          "3-active lowest"),
    Claim("2-active might give better resilience to surges", "2active", "surge_availability", "availability",
          "2-active might be better"),
)  # fmt: skip
"""What the post says without measuring it."""


def judge_claims(topologies: Sequence[TopologyScorecard]) -> list[ClaimVerdict]:
    """The verdict on each of the post's claims that is about a topology of the table."""
    verdicts = (judge(claim, {each.topology: each.figures[claim.figure] for each in topologies}) for claim in CLAIMS)
    return [verdict for verdict in verdicts if verdict is not None]


def judge(claim: Claim, values: Mapping[str, RunStats | None]) -> ClaimVerdict | None:
    """The verdict on the claim by the figures; None where its topology or all others are not in the table."""
    known = {name: value for name, value in values.items() if value is not None}
    own, metric = known.pop(claim.topology, None), METRIC[claim.figure]
    if own is None or not known:
        return None
    unclear = {name: other for name, other in known.items() if not ranges_separate(own, other)}
    ahead = [
        name for name, other in known.items() if name not in unclear and (other.low > own.high) == metric.more_is_better
    ]
    if ahead:
        verdict, reason = FAILS, f"{join_words(ahead)} {'does' if len(ahead) == 1 else 'do'} better"
    elif unclear:
        verdict, reason = NOT_DECIDED, _why_undecided(own, unclear)
    else:
        verdict, reason = HOLDS, "no range overlaps that of another topology"
    figures = ", ".join(f"{name} {_describe(each, metric)}" for name, each in {claim.topology: own, **known}.items())
    return ClaimVerdict(claim.text, claim.figure, verdict, f"{claim.what}: {figures}; {reason}.")


def _why_undecided(own: RunStats, unclear: Mapping[str, RunStats]) -> str:
    alike = [name for name, other in unclear.items() if own.low <= other.high and other.low <= own.high]
    if not alike:
        runs = min(own.count, *(other.count for other in unclear.values()))
        return f"{runs} run{'s are' if runs > 1 else ' is'} too few to call a difference one"
    if all(own == unclear[name] and own.low == own.high for name in alike):
        return f"exactly alike in {join_words(alike)}"
    return f"the ranges overlap with {join_words(alike)}"


def _describe(value: RunStats, metric: Metric) -> str:
    median, low, high = (metric.form.sentence.format(each) for each in (value.median, value.low, value.high))
    spread = f"{low} to {high}" if low != high else "the same"
    runs = "one run" if value.count == 1 else f"{spread} in {value.count} runs"
    return f"{median} ({runs})"
