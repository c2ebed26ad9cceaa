"""The verdicts on every pair of topologies, from run folders and from the values of repeats."""

import dataclasses
from pathlib import Path

import pytest

from experiments.experiment import read_finished
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.metrics import METRIC
from experiments.failover.pairs import PairVerdict, margin_of
from experiments.failover.report import summarize
from experiments.options import Margins
from experiments.theory.verdicts import Verdict
from tests.unit.experiments.failover.hand_written import summary_of, write_folder

pytestmark = pytest.mark.usefixtures("no_answer")

PAIR = PairVerdict(
    load="calm", figure="lost_per_fault", a="single", b="2active", repeats=5, verdict=Verdict.WORSE, difference=9.0,
    low=8.0, high=11.0, p_value=0.01, margin=0.5, more_repeats=None,
)  # fmt: skip


def verdicts(folder: Path, figure: str) -> dict[tuple[str, str], PairVerdict]:
    """The verdicts in a metric, by pair."""
    return {(pair.a, pair.b): pair for pair in summary_of(folder).pairs if pair.figure == figure}


def test_pairs_are_judged_within_the_repeats_that_have_the_figure_of_both(tmp_path: Path) -> None:
    """Worse where the exact test says so, equal where the interval lies within the margin."""
    folder = write_folder(tmp_path / "run", {"single": [40, 41, 42, 43, 40], "2active": [0] * 5, "3active": [0] * 4})
    found = verdicts(folder, "lost_per_fault")
    assert found["single", "2active"].verdict == Verdict.WORSE
    assert found["single", "2active"].difference == pytest.approx(41.2)
    equal = found["2active", "3active"]
    assert (equal.verdict, equal.repeats, equal.margin) == (Verdict.EQUAL, 4, 0.5)


def test_pair_of_too_few_repeats_says_how_many_more_would_do(tmp_path: Path) -> None:
    """One run of each decides nothing."""
    [pair] = verdicts(write_folder(tmp_path / "run", {"single": [40], "2active": [0]}), "lost_per_fault").values()
    assert (pair.verdict, pair.more_repeats) == (Verdict.NOT_DECIDED, 2)


def test_other_margins_judge_the_same_records_anew(tmp_path: Path) -> None:
    """Verdicts come from the records and the margins alone."""
    folder = write_folder(tmp_path / "run", {"2active": [0, 1, 0, 1, 0], "3active": [1, 0, 1, 0, 1]})
    settings, runs = read_finished(EXPERIMENT, folder)
    for margin, verdict in ((0.5, Verdict.NOT_DECIDED), (3.0, Verdict.EQUAL)):
        other = dataclasses.replace(settings, margins=Margins(lost_requests=margin))
        [pair] = [pair for pair in summarize(other, runs).pairs if pair.figure == "lost_per_fault"]
        assert pair.verdict == verdict


def test_overloaded_topology_is_compared_with_none(tmp_path: Path) -> None:
    """A lone predictor of 10 slots refuses 17 % of 10 erlangs: it has figures and no verdict."""
    folder = write_folder(tmp_path / "run", {"single": [40] * 4, "2active": [0] * 4, "3active": [0] * 4}, rate_per_s=50)
    summary = summary_of(folder)
    assert [each.overloaded for each in summary.loads[0].topologies] == [True, False, False]
    assert {(pair.a, pair.b) for pair in summary.pairs} == {("2active", "3active")}


@pytest.mark.parametrize(
    ("figure", "greater", "margin"),
    [
        ("availability", 0.9, 0.0025),
        ("lost_per_fault", 40.0, 0.5),
        ("delayed_per_fault", 40.0, 4.0),
        ("delayed_per_fault", 0.0, 0.5),
        ("downtime_per_fault_s", 40.0, 0.05),
        ("recovery_s", 6.0, 0.6),
        ("recovery_s", 0.1, 0.1),
    ],
)
def test_margin_goes_by_the_kind_of_figure(figure: str, greater: float, margin: float) -> None:
    """Points, requests, seconds' worth of requests, or a share of the greater but no less than is measured."""
    assert margin_of(METRIC[figure], Margins(), greater, rate_per_s=10.0) == pytest.approx(margin)


def test_pair_turned_round_says_the_same() -> None:
    """The other topology first: the sign, the interval's ends and the word change."""
    turned = PAIR.of("2active")
    assert (turned.a, turned.b, turned.verdict) == ("2active", "single", Verdict.BETTER)
    assert (turned.difference, turned.low, turned.high) == (-9.0, -11.0, -8.0)
    assert PAIR.of("single") == PAIR
