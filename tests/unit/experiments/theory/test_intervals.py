"""Wilson's interval and the design effect: coverage against exact values, and by simulation of loss systems."""

from math import comb

import numpy as np
import pytest

from experiments.theory.erlang import erlang_b, erlangs_at_blocking
from experiments.theory.intervals import Interval, design_effect, poisson, simulate_shares, wilson


def test_wilson_gives_the_published_values() -> None:
    """81 of 263 (Newcombe 1998, table I): 0.2553 to 0.3662; none of 20: 0 to 0.1611."""
    found = wilson(81 / 263, 263)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    none = wilson(0.0, 20)
    assert (none.low, none.high) == (0.0, pytest.approx(0.1611, abs=1e-4))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("trials", [50, 200])
def test_wilson_covers_the_share_of_independent_trials(share: float, trials: int) -> None:
    """The chance that the interval holds the true share, summed over every outcome, is near 95 %."""
    chances = (comb(trials, hits) * share**hits * (1 - share) ** (trials - hits) for hits in range(trials + 1))
    covered = sum(chance for hits, chance in enumerate(chances) if wilson(hits / trials, trials).contains(share))
    assert covered == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(("share", "trials"), [(-0.1, 10), (1.1, 10), (float("nan"), 10), (0.5, 0)])
def test_wilson_of_impossible_values_raises(share: float, trials: float) -> None:
    """What is no share, or no trial, has no interval."""
    with pytest.raises(ValueError, match="accepted"):
        wilson(share, trials)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39), (100, 81.36, 121.63)]
)
def test_poisson_gives_the_exact_limits_nearly(count: int, low: float, high: float) -> None:
    """Garwood's limits (1936), as in tables of the Poisson distribution."""
    found = poisson(count)
    assert found.low == pytest.approx(low, rel=0.02, abs=0.02)
    assert found.high == pytest.approx(high, rel=0.01)


def test_poisson_of_no_count_raises() -> None:
    """Half an event was never seen."""
    with pytest.raises(ValueError, match="count"):
        poisson(-1)


def test_simulated_shares_have_erlang_b_as_their_mean() -> None:
    """Erlang B holds for constant service too: the simulated mean meets it, and the counted rate the offered one."""
    shares, rates = simulate_shares(10, 6.0, 2_000, 300, seed=3)
    assert shares.mean() == pytest.approx(erlang_b(10, 6.0), rel=0.02)
    assert rates.mean() == pytest.approx(6.0, rel=0.01)


def test_simulated_shares_of_one_slot_need_no_memory() -> None:
    """With one slot and constant service the refused share of a run is load / (1 + load), whoever came before."""
    shares, _ = simulate_shares(1, 0.5, 4_000, 100, seed=4)
    assert shares.mean() == pytest.approx(1 / 3, rel=0.01)


def coverage(slots: int, load: float, arrivals: int, worth: float, runs: int, seed: int) -> float:
    """The share of simulated runs whose interval holds Erlang B at the rate that was counted in the run."""
    shares, rates = simulate_shares(slots, load, arrivals, runs, seed)
    pairs = zip(shares.tolist(), rates.tolist(), strict=True)
    return float(np.mean([wilson(share, worth).contains(erlang_b(slots, rate)) for share, rate in pairs]))


@pytest.mark.parametrize(("slots", "blocking"), [(10, 0.05), (20, 0.05), (30, 0.2)])
def test_interval_covers_erlang_b_in_95_of_100_runs(slots: int, blocking: float) -> None:
    """With the design effect, the interval holds Erlang B at the counted rate in about 95 % of the runs."""
    load = erlangs_at_blocking(slots, blocking)
    worth = 2_000 / design_effect(slots, round(load, 3), 2_000)
    assert coverage(slots, load, 2_000, worth, 400, seed=99) == pytest.approx(0.95, abs=0.035)


def test_interval_without_the_design_effect_is_too_narrow() -> None:
    """Refusals come in groups: counted as independent, they would promise more than they hold."""
    load = erlangs_at_blocking(30, 0.01)
    assert coverage(30, load, 2_000, 2_000, 300, seed=98) < 0.88
    assert design_effect(30, round(load, 3), 2_000) > 2


def test_interval_contains_its_ends() -> None:
    """Ends are included."""
    assert Interval(0.1, 0.2).contains(0.1)
    assert not Interval(0.1, 0.2).contains(0.21)
