"""The verdicts on what the post claims."""

import dataclasses

import pytest

from experiments.failover.claims import FAILS, HOLDS, NOT_DECIDED, Claim, judge
from experiments.results.statistics import RunStats, aggregate

CLAIM = Claim("3-active is best", "3active", "availability", "availability")


def spread(*values: float) -> RunStats:
    """Values over repeats."""
    found = aggregate(values)
    assert found is not None
    return found


LOW, HIGH = spread(0.91, 0.92, 0.93, 0.94), spread(0.97, 0.98, 0.98, 0.99)


@pytest.mark.parametrize(
    ("own", "other", "verdict", "reason"),
    [
        (HIGH, LOW, HOLDS, "no range overlaps"),
        (LOW, HIGH, FAILS, "2active does better"),
        (spread(0.93, 0.95, 0.96, 0.98), HIGH, NOT_DECIDED, "the ranges overlap with 2active"),
        (spread(1.0, 1.0, 1.0, 1.0), spread(1.0, 1.0, 1.0, 1.0), NOT_DECIDED, "exactly alike in 2active"),
        (spread(1.0), spread(0.5), NOT_DECIDED, "1 run is too few"),
    ],
    ids=["holds", "does not", "overlap", "alike", "one run"],
)
def test_verdict_goes_by_the_ranges(own: RunStats, other: RunStats, verdict: str, reason: str) -> None:
    """A difference is called one only where the ranges say so and there are enough repeats."""
    found = judge(CLAIM, {"2active": other, "3active": own})
    assert found is not None
    assert found.verdict == verdict
    assert reason in found.sentence
    assert "2active" in found.sentence


def test_verdict_where_less_is_better_is_turned_round() -> None:
    """Of lost requests the lower range wins."""
    claim = dataclasses.replace(CLAIM, figure="lost_per_fault")
    found = judge(claim, {"3active": spread(0, 0, 0, 1), "single": spread(40, 41, 42, 43)})
    assert found is not None
    assert found.verdict == HOLDS


def test_verdict_needs_the_claims_topology_and_another() -> None:
    """A table without them says nothing about the claim."""
    assert judge(CLAIM, {"3active": HIGH}) is None
    assert judge(CLAIM, {"2active": HIGH, "single": LOW}) is None
