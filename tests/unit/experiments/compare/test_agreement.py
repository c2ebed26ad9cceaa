"""When a difference between two topologies is called one, and the words for it."""

import pytest

from experiments.compare.agreement import Rates, compare_pair
from experiments.compare.findings import pair_verdict
from experiments.compare.summary import PairVerdict
from experiments.theory.first_failure import Spread

THEORY_30 = Spread(21.2, 18.5, 23.4)
THEORY_10 = Spread(5.8, 4.5, 6.9)


def rates(name: str, values: list[float], slots: int = 30, theory: Spread | None = THEORY_30) -> Rates:
    """One topology with these rates."""
    return Rates(name, slots, 1.0, dict(enumerate(values, start=1)), theory)


def verdict(a: list[float], b: list[float], theory: Spread | None = THEORY_30) -> PairVerdict:
    """Compare two topologies of 30 slots."""
    return pair_verdict(compare_pair(rates("2active", a, theory=theory), rates("3active", b, theory=theory), 10.0))


@pytest.mark.parametrize(
    ("a", "b", "wanted", "told"),
    [
        ([22.3], [19.9], "not decided", "22.3 and 19.9 requests/s, 2.4 apart, in one run of each; 7 repeats more"),
        ([22.3], [19.9], "not decided", "this is no ranking"),
        ([25.0], [18.0], "not decided", "these are further apart"),
        ([19.0, 19.2, 19.1], [20.0, 20.1, 20.2], "equal", "are equal within 2.0 requests/s (3 slots make more)"),
        ([19.0, 19.2, 19.1, 19.3], [22.0, 22.1, 22.2, 22.3], "worse", "look for a cause"),
        ([22.0, 22.1, 22.2, 22.3], [19.0, 19.2, 19.1, 19.3], "better", "2active is better than 3active"),
        ([19.0, 22.5, 20.0, 23.0], [20.9, 22.0, 24.5, 22.2], "not decided", "repeats more would do in 4 of 5 cases"),
    ],
)
def test_agreement_of_equal_slots(a: list[float], b: list[float], wanted: str, told: str) -> None:
    """One run of each decides nothing; from three on they can be equal, from four on different."""
    found = verdict(a, b)
    assert (found.verdict, told in found.sentence) == (wanted, True), found.sentence


def test_agreement_gives_difference_interval_and_margin() -> None:
    """The first's mean less the second's, what the runs allow, and what counts as none."""
    found = verdict([20.0, 21.0, 22.0, 21.0, 21.5], [20.5, 21.5, 21.0, 20.0, 22.0])
    assert (found.verdict, found.difference_per_s, found.margin_per_s) == ("equal", 0.1, 2.11)
    assert found.low_per_s is not None
    assert found.high_per_s is not None
    assert -2.11 < found.low_per_s < 0.1 < found.high_per_s < 2.11
    assert (found.p_value > 0.5, found.more_repeats) == (True, None)


def test_agreement_takes_differences_within_a_repeat() -> None:
    """Eight repeats that all go up and down together show a difference that the two groups alone would not."""
    a = [18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0]
    b = [rate - 1 + 0.1 * (number % 2) for number, rate in enumerate(a)]
    assert compare_pair(rates("2active", a), rates("3active", b), 1.0).judgement.verdict == "better"
    other_repeats = Rates("3active", 30, 1.0, dict(enumerate(b, start=2)), THEORY_30)
    assert compare_pair(rates("2active", a), other_repeats, 1.0).judgement.verdict == "not decided"


def test_agreement_of_few_runs_counts_repeats_by_theory() -> None:
    """Two runs that happen to be alike say nothing of the spread: how many more are needed is theory's to say."""
    found = verdict([21.0, 21.0], [21.1, 21.1])
    assert (found.verdict, found.more_repeats) == ("not decided", 7)
    assert (found.single_runs_vary_by_per_s, found.means_vary_by_per_s) == (3.465, 2.45)


def test_agreement_says_what_so_many_runs_could_have_shown() -> None:
    """Ten runs see three slots, not two; fewer than four see nothing, and say so."""
    runs = [19.0, 20.0, 21.0, 22.0, 23.0, 21.5, 20.5, 21.2, 20.8, 21.0]
    ten = verdict(runs, runs[::-1])
    assert ten.detectable_per_s == pytest.approx(2.1, abs=0.1)
    assert ten.detectable_slots == 3
    assert "10 runs of each would show a difference of 2.1 requests/s, 3 slots, in 4 of 5 cases" in ten.sentence
    three = verdict(runs[:3], runs[3:6])
    assert (three.detectable_per_s, three.detectable_slots) == (None, None)
    assert "Runs alone show a difference from 4 of each on." in three.sentence


def test_agreement_of_unequal_slots_differs_by_repeats_only() -> None:
    """10 and 30 slots: one run of each is beyond chance by theory, four of each decide."""

    def compare(runs: int) -> PairVerdict:
        single = rates("single", [5.7, 5.8, 5.5, 6.0][:runs], 10, THEORY_10)
        return pair_verdict(compare_pair(single, rates("3active", [21.0, 20.0, 22.0, 21.5][:runs]), 10.0))

    assert (compare(1).verdict, compare(1).more_repeats) == ("not decided", 3)
    assert "these are further apart" in compare(1).sentence
    assert compare(4).verdict == "worse"
    assert "10 and 30 slots" in compare(4).sentence
    assert "look for a cause" not in compare(4).sentence
    assert compare(1).detectable_slots is None


def test_agreement_without_theory_and_repeats_is_not_decided() -> None:
    """Where nothing says how far runs vary, one run of each decides nothing."""
    found = verdict([22.0], [22.0], theory=None)
    assert found.verdict == "not decided"
    assert "no theory of such failures" in found.sentence
    assert found.means_vary_by_per_s is None
