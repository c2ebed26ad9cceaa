"""When a difference between two topologies is called one, and the words for it."""

import pytest

from experiments.compare.agreement import AGREE, DIFFER, NOT_DECIDED, compare_pair
from experiments.compare.findings import pair_verdict
from experiments.compare.summary import PairVerdict
from experiments.experiment import Figure
from experiments.results.statistics import RunStats, chance_of_separation
from experiments.theory.first_failure import Spread

THEORY_30 = Spread(21.2, 18.5, 23.4)
THEORY_10 = Spread(5.8, 4.5, 6.9)


def measured(name: str, rates: list[float], slots: int = 30, theory: Spread | None = THEORY_30) -> Figure:
    """One topology with these rates, of which the middle one is the median."""
    ordered = sorted(rates)
    stats = RunStats(ordered[len(ordered) // 2], ordered[0], ordered[-1], len(rates))
    return Figure(name, "RPS", slots, stats, theory)


def verdict(a: list[float], b: list[float], theory: Spread | None = THEORY_30) -> PairVerdict:
    """Compare two topologies of 30 slots."""
    return pair_verdict(compare_pair(measured("2active", a, theory=theory), measured("3active", b, theory=theory)))


@pytest.mark.parametrize(
    ("a", "b", "wanted", "told"),
    [
        ([22.3], [19.9], AGREE, "2active and 3active (the same 30 slots) agree: 22.3 and 19.9 requests/s, 2.4 apart"),
        ([22.3], [19.9], AGREE, "no ranking"),
        ([25.0], [18.0], NOT_DECIDED, "Not decided"),
        ([25.0], [18.0], NOT_DECIDED, "repeat"),
        ([19.0, 19.2, 19.1], [20.0, 20.1, 20.2], AGREE, ""),
        ([19.0, 19.2, 19.1, 19.3], [20.0, 20.1, 20.2, 20.3], DIFFER, "look for a cause"),
        ([19.0, 20.5, 20.0, 21.0, 19.5], [20.9, 22.0, 21.5, 22.2, 21.8], AGREE, ""),
    ],
)
def test_agreement_of_equal_slots(a: list[float], b: list[float], wanted: str, told: str) -> None:
    """One run of each never makes a difference; four of each do where ranges do not overlap; chance is no ranking."""
    found = verdict(a, b)
    assert (found.verdict, told in found.sentence) == (wanted, True)


def test_agreement_of_many_runs_asks_how_far_medians_vary() -> None:
    """Medians of many runs vary less than single runs: what agrees once is not decided again and again."""
    single = verdict([20.0], [22.5])
    assert single.verdict == AGREE
    assert "pairs of single runs are up to 3.5 apart" in single.sentence
    many = verdict([20.0] * 9 + [23.0], [22.5] * 9 + [20.5])
    assert many.verdict == NOT_DECIDED
    assert "pairs of such medians are up to 1.3 apart" in many.sentence
    assert (many.single_runs_vary_by_per_s, many.medians_vary_by_per_s) == (3.465, 1.336)


def test_agreement_of_unequal_slots_beyond_chance_differs() -> None:
    """10 and 30 slots differ by far more than single runs vary."""
    found = pair_verdict(compare_pair(measured("single", [5.7], 10, THEORY_10), measured("3active", [21.0])))
    assert found.verdict == DIFFER
    assert "10 and 30 slots" in found.sentence
    assert "look for a cause" not in found.sentence


def test_agreement_without_theory_and_repeats_is_not_decided() -> None:
    """Where nothing says how far runs vary, one run of each decides nothing."""
    assert verdict([22.0], [22.0], theory=None).verdict == NOT_DECIDED


@pytest.mark.parametrize(
    ("n", "m", "wanted"), [(1, 1, 1.0), (2, 2, 1 / 3), (3, 3, 0.1), (4, 4, 2 / 70), (5, 5, 2 / 252)]
)
def test_chance_of_separation_counts_orders(n: int, m: int, wanted: float) -> None:
    """Of all orders of n and m draws, two keep the groups apart."""
    assert chance_of_separation(n, m) == pytest.approx(wanted)
