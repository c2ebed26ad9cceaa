"""What a fault costs in the mean, and the mean over faults."""

import dataclasses

import pytest

from experiments.failover.impacts import average_impact, measure_impact, most_share_losing
from tests.unit.experiments.failover.test_metrics import CRASH


def test_losses_are_given_without_and_with_the_invalid_windows() -> None:
    """A generator late by 1 s drops the window from losses, by 0.1 s from times and delays."""
    late = dataclasses.replace(CRASH, lost=30, delayed=90, below_need_s=90.0, lateness_p99_s=0.5)
    invalid = dataclasses.replace(CRASH, lost=80, delayed=90, below_need_s=90.0, lateness_p99_s=2.0)
    found = measure_impact("crash", [CRASH, late, invalid])
    assert (found.windows, found.invalid, found.late) == (2, 1, 2)
    assert (found.lost, found.lost_with_invalid) == (20.0, 40.0)
    assert (found.delayed, found.below_need_s, found.lost_total) == (4.0, 2.0, 40)


def test_mean_over_faults_counts_each_fault_once_however_many_windows_it_has() -> None:
    """A window more or less of one fault does not change the mix."""
    costly = dataclasses.replace(CRASH, lost=100, downtime_s=10.0)
    cheap = dataclasses.replace(CRASH, fault="hang", lost=0, downtime_s=0.0, delayed=9)
    for windows in (1, 4):
        crash, hang = measure_impact("crash", [costly] * windows), measure_impact("hang", [cheap])
        found = average_impact([crash, hang], [hang])
        assert (found.lost, found.downtime_s) == (50.0, 5.0)
        assert found.windows == windows + 1
        assert found.delayed == hang.delayed, "of those faults that every topology has timed"


@pytest.mark.parametrize(("windows", "share"), [(5, 0.45), (267, 0.011), (1, 0.95)])
def test_none_lost_leaves_a_share_of_faults_that_could_lose_something(windows: int, share: float) -> None:
    """0 of 5: up to 45 %; the bound is given where nothing was lost, and only there."""
    assert most_share_losing(windows) == pytest.approx(share, abs=0.002)
    none = measure_impact("crash", [dataclasses.replace(CRASH, lost=0)] * windows)
    assert none.most_share_losing == pytest.approx(share, abs=0.002)
    assert measure_impact("crash", [CRASH]).most_share_losing is None


def test_impact_of_invalid_windows_alone_has_no_figure_but_the_losses_with_them() -> None:
    """Nothing is made up."""
    found = measure_impact("crash", [dataclasses.replace(CRASH, lateness_p99_s=3.0)])
    assert (found.windows, found.lost, found.delayed, found.downtime_s) == (0, None, None, None)
    assert found.lost_with_invalid == 10.0


def test_impact_of_a_fault_that_missed_is_none_at_all() -> None:
    """What was lost while nothing happened is no cost of it, and no 0."""
    missed = dataclasses.replace(CRASH, lost=0, missed="port 1 of predict1 still takes connections after 1 s")
    found = measure_impact("crash", [missed])
    assert (found.windows, found.invalid, found.missed, found.lost, found.lost_with_invalid) == (0, 0, 1, None, None)
    assert measure_impact("crash", [missed, CRASH]) == dataclasses.replace(measure_impact("crash", [CRASH]), missed=1)
