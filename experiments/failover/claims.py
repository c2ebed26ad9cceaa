"""Whether a claim of the post holds, by the verdicts on pairs of topologies, and the words for it.

A claim says that one topology is best in some figures. It holds where it is better than every other, does not hold
where some other is better, and is a tie where the best of the others are equal to it within the margin.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.failover.metrics import METRIC, Metric
from experiments.failover.pairs import PairVerdict
from experiments.failover.summary import ClaimVerdict
from experiments.page.text import join_words
from experiments.theory.verdicts import FEWEST_TO_BE_EQUAL, FEWEST_TO_DIFFER, MOST_REPEATS, Verdict

HOLDS = "holds"
FAILS = "does not hold"
TIE = "tie"
NOT_DECIDED = "not decided"


@dataclass(frozen=True)
class Claim:
    """Something that the post says: one topology is better in some figures than the others."""

    text: str
    topology: str
    figures: tuple[str, ...]
    """Metrics' names: better is what is better in one of them and not worse in any."""
    short: str = ""
    """The claim in a few words, for a table's cell."""


CLAIMS = (
    Claim("3-active gives highest availability", "3active", ("availability",), "3-active highest"),
    Claim("3-active gives lowest failure impacts", "3active", ("lost_per_fault", "delayed_per_fault"),
          "3-active lowest"),
    Claim("2-active might give better resilience to surges", "2active", ("surge_availability",),
          "2-active might be better"),
)  # fmt: skip
"""What the post says without measuring it."""


def too_few(pairs: Sequence[PairVerdict], *, are_judged: bool = True) -> str:
    """Why nothing could be decided whatever was measured, and the remedy; empty where there are repeats enough.

    Where no claim is judged, behind routers that are not this project's, nothing is said of claims.
    """
    most = max((pair.repeats for pair in pairs), default=FEWEST_TO_BE_EQUAL)
    if most >= FEWEST_TO_BE_EQUAL:
        return ""
    runs = "One run of each topology decides" if most == 1 else f"{most} runs of each topology decide"
    what = "neither who is better nor whether the post's claims hold" if are_judged else "nothing about who is better"
    remedy = "--repeats 5, or --until-decided" if are_judged else "--repeats 5"
    return (
        f"{runs} {what}: two are called equal from {FEWEST_TO_BE_EQUAL} runs on, one better from {FEWEST_TO_DIFFER} on "
        f"({remedy})."
    )


def judge_claims(pairs: Sequence[PairVerdict]) -> list[ClaimVerdict]:
    """The verdict on each of the post's claims under each load, where its topology is compared with another."""
    loads = dict.fromkeys(pair.load for pair in pairs)
    verdicts = (judge(claim, load, [pair for pair in pairs if pair.load == load]) for claim in CLAIMS for load in loads)
    return [verdict for verdict in verdicts if verdict is not None]


def judge(claim: Claim, load: str, pairs: Iterable[PairVerdict]) -> ClaimVerdict | None:
    """The verdict on the claim by the pairs of one load; None where its topology is compared with no other."""
    others: dict[str, list[PairVerdict]] = {}
    for pair in pairs:
        if pair.figure in claim.figures and claim.topology in (pair.a, pair.b):
            own = pair.of(claim.topology)
            others.setdefault(own.b, []).append(own)
    complete = {name: found for name, found in others.items() if len(found) == len(claim.figures)}
    if not complete:
        return None
    verdict = _decide({name: _together(found) for name, found in complete.items()})
    more = [pair.more_repeats for found in complete.values() for pair in found if pair.verdict == Verdict.NOT_DECIDED]
    needed = None if None in more else max((each for each in more if each is not None), default=None)
    fewest = min(pair.repeats for found in complete.values() for pair in found)
    undecided = verdict == NOT_DECIDED
    return ClaimVerdict(
        claim=claim.text,
        load=load,
        judged_by=list(claim.figures),
        verdict=verdict,
        more_repeats=needed if undecided else None,
        sentence=f"{_sentence(claim, complete)}{_what_would_do(needed, fewest) if undecided else ''}.",
    )


def _together(pairs: Sequence[PairVerdict]) -> Verdict:
    """The verdict in several figures at once: worse in one is worse, equal in all is equal."""
    found = {pair.verdict for pair in pairs}
    for verdict in (Verdict.WORSE, Verdict.NOT_DECIDED, Verdict.BETTER):
        if verdict in found:
            return verdict
    return Verdict.EQUAL


def _decide(others: Mapping[str, Verdict]) -> str:
    found = set(others.values())
    if Verdict.WORSE in found:
        return FAILS
    if Verdict.NOT_DECIDED in found:
        return NOT_DECIDED
    return TIE if Verdict.EQUAL in found else HOLDS


def _sentence(claim: Claim, others: Mapping[str, Sequence[PairVerdict]]) -> str:
    """In each figure, what the topology is beside the others."""
    clauses = []
    for number, figure in enumerate(claim.figures):
        metric = METRIC[figure]
        parts = [describe(found[number], metric) for found in others.values()]
        clauses.append(f"{metric.label[:1].lower()}{metric.label[1:]}: {claim.topology} is {join_words(parts)}")
    return "; ".join(clauses)


def describe(pair: PairVerdict, metric: Metric) -> str:
    """What the first of the pair is beside the second, with the margin, or by how much and the interval of that."""
    if pair.verdict == Verdict.EQUAL:
        return f"no better than {pair.b} (equal within {metric.form.difference(pair.margin)})"
    if pair.verdict == Verdict.NOT_DECIDED:
        return f"not told apart from {pair.b}{_interval(pair, metric)}"
    by = metric.form.difference(abs(pair.difference))
    return f"{pair.verdict} than {pair.b} by {by}{_interval(pair if pair.difference > 0 else pair.of(pair.b), metric)}"


def _interval(pair: PairVerdict, metric: Metric) -> str:
    """The interval of the difference, of the first less the second; empty where there are too few repeats for one."""
    if pair.low is None or pair.high is None:
        return ""
    return f" (90 % interval {metric.form.interval(pair.low, pair.high)})"


def _what_would_do(more_repeats: int | None, repeats: int) -> str:
    if repeats < FEWEST_TO_BE_EQUAL:
        return f"; no verdict on fewer than {FEWEST_TO_BE_EQUAL} repeats"
    if more_repeats is None:
        return f"; no number of repeats up to {MOST_REPEATS:,} would decide it, by the spread so far"
    return f"; {more_repeats} repeat{'s' if more_repeats > 1 else ''} more would do, by the spread so far"
