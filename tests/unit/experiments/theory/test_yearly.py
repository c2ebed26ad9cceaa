"""What a year costs: by hand, the formula beside simulated years, and both beside ten years request by request."""

import math
import tracemalloc
from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom, lognorm

from experiments.theory import outages
from experiments.theory.outages import Failing, limited_mean_s, simulate
from experiments.theory.sizing import Demand, Deployment, Kind
from experiments.theory.yearly import YEAR_S, Edges, Faults, lost_per_year, simulate_years, years_that_fit
from tests.unit.experiments.theory.event_by_event import Rig

HOUR_S, DAY_S = 3_600.0, 86_400.0
NONE = Edges(0, 0)
DEMAND = Demand(rate_per_s=12.0, service_time_s=1.0, capacity=10)
SINGLE, TWO, THREE = Deployment(Kind.SINGLE, 1), Deployment(Kind.ACTIVE, 2), Deployment(Kind.ACTIVE, 3)
WARM, COLD, PAIR = Deployment(Kind.WARM, 3), Deployment(Kind.COLD, 3), Deployment(Kind.COLD, 2)
KINDS = (SINGLE, TWO, THREE, WARM, COLD)


def faults(**changes: object) -> Faults:
    """Those of predictors that fail once in five days, by themselves alone; the router never does."""
    usual = {"mtbf_s": 5 * DAY_S, "repair_s": HOUR_S, "common_cause": 0, "start_s": 600, "start_fails": 0}
    return Faults(**{**usual, "router_mtbf_s": math.inf, **changes})


def lost_share(deployment: Deployment, own: Faults, demand: Demand = DEMAND) -> float:
    """The share of a year's requests that is lost in the mean, beside the edges of faults."""
    return float(lost_per_year(deployment, demand, own, NONE)) / (demand.rate_per_s * YEAR_S)


def test_lost_per_year_of_two_is_the_refused_share_by_how_many_are_down() -> None:
    """One is down for an hour in 121."""
    down, (all_, one, two) = 1 / 121, map(DEMAND.refused_share, range(3))
    by_hand = (1 - down) ** 2 * two + 2 * down * (1 - down) * one + down**2 * all_
    assert lost_share(TWO, faults()) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("actives", [1, 2, 5])
@pytest.mark.parametrize("repair_s", [600.0, 5 * DAY_S])
def test_lost_per_year_of_a_standby_that_starts_at_once_is_that_of_the_chain(actives: int, repair_s: float) -> None:
    """Of exponential repairs, solved state by state: it fails while it serves, and serves again once repaired."""
    states = [(down, failed) for down in range(actives + 1) for failed in (False, True)]
    rates = np.zeros((len(states), len(states)))
    for here, (down, failed) in enumerate(states):
        ways = {
            (down + 1, failed): (actives - down) / (5 * DAY_S),
            (down - 1, failed): down / repair_s,
            (down, not failed): 1 / repair_s if failed else (down > 0) / (5 * DAY_S),
        }
        for state, rate in ways.items():
            if rate:
                rates[here, states.index(state)] = rate
    balance = np.vstack([(rates - np.diag(rates.sum(axis=1))).T, np.ones(len(states))])
    chances = np.linalg.lstsq(balance, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    refused = [DEMAND.refused_share(min(actives, actives - down + (not failed))) for down, failed in states]
    cold = Deployment(Kind.COLD, actives + 1)
    assert lost_share(cold, faults(start_s=0, repair_s=repair_s)) == pytest.approx(chances @ refused, rel=1e-9)


@pytest.mark.parametrize("changes", [{"start_s": 1e10}, {"start_fails": 1}])
def test_lost_per_year_of_a_standby_that_never_serves_is_that_of_none(changes: dict[str, float]) -> None:
    """Its start outlasts the repair, or fails."""
    assert lost_share(COLD, faults(**changes)) == pytest.approx(lost_share(TWO, faults()), rel=1e-6)


def test_lost_per_year_of_a_start_that_is_waited_for_is_between_by_the_time_waited() -> None:
    """A single failure waits for the start, or for the repair if that is sooner; two at once: hardly ever."""
    at_once, never = (lost_share(COLD, faults(mtbf_s=1e9, start_s=each)) for each in (0, 1e10))
    waited = float(limited_mean_s(HOUR_S, 600.0)) / HOUR_S
    share = lost_share(COLD, faults(mtbf_s=1e9, start_s=600))
    assert (share - at_once) / (never - at_once) == pytest.approx(waited, rel=1e-4)


def test_lost_per_year_of_common_causes_alone_is_all_for_their_share_of_the_time() -> None:
    """However many there are: an hour in 121; without one, what all up refuse, and nothing else."""
    for deployment in KINDS:
        up = DEMAND.refused_share(deployment.running)
        assert lost_share(deployment, faults(common_cause=1)) == pytest.approx(1 / 121 + 120 / 121 * up, rel=1e-3)
        assert lost_share(deployment, faults(mtbf_s=math.inf, common_cause=0.5)) == pytest.approx(up, rel=1e-12)


def test_lost_per_year_of_a_single_predictor_is_alike_by_whatever_cause() -> None:
    """The requests in flight, too."""
    edges = Edges(DEMAND.erlangs * (1 - DEMAND.refused_share(1)), 0)
    own, common = (lost_per_year(SINGLE, DEMAND, faults(common_cause=each), edges) for each in (0, 1))
    assert own == pytest.approx(common, rel=1e-9)


def test_lost_per_year_at_the_edges_is_by_faults_while_up_and_by_the_router() -> None:
    """Three predictors, each fails once in 121 hours; the router once in 30 days."""
    own = faults(router_mtbf_s=30 * DAY_S)
    beside = lost_per_year(THREE, DEMAND, own, Edges(2.0, 5.0)) - lost_per_year(THREE, DEMAND, own, NONE)
    assert beside == pytest.approx(3 * 8_760 / 121 * 2.0 + 365 / 30 * 5.0, rel=1e-6)


@pytest.mark.parametrize("predictors", [1, 3, 200, 1_000])
@pytest.mark.parametrize("mtbf_s", [600.0, 5 * DAY_S, 1e9])
def test_lost_per_year_of_many_is_the_binomial_mean(predictors: int, mtbf_s: float) -> None:
    """By scipy, to 1e-9 of the load, where one is down for most of the time, too."""
    demand = Demand(5.0 * predictors, 1.0, 10)
    refused = [demand.refused_share(up) for up in range(predictors + 1)]
    expected = binom.pmf(range(predictors + 1), predictors, mtbf_s / (mtbf_s + HOUR_S)) @ refused
    share = lost_share(Deployment(Kind.ACTIVE, predictors), faults(mtbf_s=mtbf_s), demand)
    assert share == pytest.approx(expected, rel=1e-9, abs=1e-20)


def test_lost_per_year_of_arrays_is_that_of_each_value() -> None:
    """Beside numbers, and all as numbers."""
    mtbf_s, start_s = np.array([DAY_S, 9 * DAY_S]), np.array([0.0, 1e6])
    both = lost_per_year(COLD, DEMAND, faults(mtbf_s=mtbf_s, start_s=start_s, common_cause=0.1), Edges(1, 2))
    each = [
        float(lost_per_year(COLD, DEMAND, faults(mtbf_s=mtbf, start_s=start, common_cause=0.1), Edges(1, 2)))
        for mtbf, start in zip(mtbf_s, start_s, strict=True)
    ]
    assert both == pytest.approx(each, rel=1e-12)


@pytest.mark.parametrize("limit_s", [0.0, 1e-3, 60.0, 600.0, 3_600.0, 1e5, 1e9])
def test_limited_mean_is_the_integral_of_the_repairs_that_last(limit_s: float) -> None:
    """Of a log-normal time whose standard deviation is its mean, by scipy's distribution."""
    sigma = math.sqrt(math.log(2))
    repair = lognorm(sigma, scale=600 / math.sqrt(2))
    assert (repair.mean(), repair.std()) == pytest.approx((600, 600))
    points = [edge for edge in (100.0, 1e3, 1e4, 1e5) if edge < limit_s]
    expected = quad(repair.sf, 0, min(limit_s, 1e6), points=points or None, limit=200)[0]
    assert float(limited_mean_s(600.0, limit_s)) == pytest.approx(expected, rel=1e-6)


class Setting(NamedTuple):
    """Faults of so many years."""

    name: str
    of: Callable[[int], Faults]


def points(name: str, **changes: float) -> Setting:
    """The same values each year."""
    return Setting(name, lambda years: faults(**{"start_fails": np.zeros(years), **changes}))


def ranges(years: int) -> Faults:
    """Values of its own for each year, in every field."""
    chance = np.random.default_rng(5)

    def about(median: float, spread: float) -> np.ndarray:
        return median * np.exp(spread * chance.standard_normal(years))

    shares = np.minimum(1, about(0.05, 0.7)), np.minimum(1, about(0.1, 0.7))
    return Faults(about(9 * DAY_S, 0.7), about(2 * HOUR_S, 0.7), shares[0], about(HOUR_S, 1), shares[1], about(1e7, 1))


SETTINGS = [
    points("calm"),
    points("all causes", common_cause=0.1, router_mtbf_s=30 * DAY_S),
    points("long repairs", repair_s=12 * HOUR_S, start_s=300),
    points("in part", mtbf_s=2 * HOUR_S, repair_s=600, start_s=30, common_cause=0.02),
    Setting("ranges", ranges),
]
LASTING = points("repairs beyond the year", mtbf_s=400 * DAY_S, repair_s=300 * DAY_S, common_cause=0.3)
YEARS = 400


def deviation(deployment: Deployment, setting: Setting, seed: int) -> float:
    """By how many of its standard errors the mean of simulated years lies above the formula's."""
    own, edges = setting.of(YEARS), Edges(3.0, 12.0)
    simulated = simulate_years(deployment, DEMAND, own, edges, seed)
    differences = simulated - lost_per_year(deployment, DEMAND, own, edges)
    return float(differences.mean() / differences.std(ddof=1) * math.sqrt(len(simulated)))


def streams(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Of failures, and of what befalls a standby."""
    return np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])


def test_simulated_years_lose_in_the_mean_what_the_formula_says() -> None:
    """Each within three standard errors, all together by about one: neither the means nor the errors are wrong."""
    cases = [(each, setting) for setting in SETTINGS for each in KINDS] + [(each, LASTING) for each in KINDS[:4]]
    deviations = [deviation(*case, seed) for seed, case in enumerate(cases, 200)]
    assert {case: z for case, z in zip(cases, deviations, strict=True) if abs(z) > 3} == {}
    assert 0.7 < math.sqrt(fmean(z**2 for z in deviations)) < 1.3


def test_simulated_faults_are_those_that_begin_within_the_year() -> None:
    """Not those of the year before that last into it, here nearly half of three."""
    failing = Failing(3, np.full(YEARS, 1 / (400 * DAY_S)), np.full(YEARS, 300 * DAY_S))
    simulated = simulate(failing, np.array([1.0, 0.6, 0.3, 0.0]), *streams(1)).faults
    assert simulated.mean() == pytest.approx(3 * 365 / 700, abs=3 * simulated.std() / math.sqrt(YEARS))


def test_simulated_years_of_a_cold_standby_where_repairs_overlap_are_near_the_formula() -> None:
    """Each is down for nearly half of the time: the formula leaves out that it may run for one which is up again."""
    own = faults(mtbf_s=np.full(1_200, 2 * DAY_S), repair_s=1.5 * DAY_S, start_s=0.5 * DAY_S, start_fails=0.1)
    simulated, formula = simulate_years(COLD, DEMAND, own, NONE, 3).mean(), lost_per_year(COLD, DEMAND, own, NONE)[0]
    assert 0.96 * formula < simulated < formula


@pytest.mark.parametrize(
    ("deployment", "changes", "least", "most"),
    [
        (PAIR, {"repair_s": 600.0, "mtbf_s": 30 * DAY_S, "start_fails": 0.02}, 0.995, 1.005),
        (COLD, {"repair_s": DAY_S, "start_fails": 0.3}, 0.98, 1.0),
        (PAIR, {"repair_s": 1.5 * DAY_S, "mtbf_s": 2 * DAY_S, "start_fails": 0.5}, 0.97, 1.0),
        (COLD, {"repair_s": DAY_S, "start_s": 2 * DAY_S}, 0.97, 1.0),
    ],
)
def test_simulated_years_of_a_standby_that_fails_too_are_near_the_formula(
    deployment: Deployment, changes: dict[str, float], least: float, most: float
) -> None:
    """By how much the formula leaves out: little where repairs are short, at most 3 % where much fails."""
    own = faults(**{**changes, "start_fails": np.full(4_000, changes.get("start_fails", 0.0))})
    simulated, formula = simulate_years(deployment, DEMAND, own, NONE, 3), lost_per_year(deployment, DEMAND, own, NONE)
    assert least < simulated.mean() / formula[0] < most


def test_simulated_years_of_a_standby_that_starts_soon_lose_by_its_own_failures() -> None:
    """Within four standard errors; one that never fails would lose 36 requests a year."""
    own = faults(mtbf_s=np.full(4_000, 10 * DAY_S), repair_s=DAY_S, start_s=1.0)
    light = Demand(1.0, 1.0, 10)
    simulated = simulate_years(PAIR, light, own, NONE, 1)
    assert simulated.mean() == pytest.approx(142_000, abs=4 * simulated.std() / math.sqrt(4_000))


LONG_S = 1_800.0
"""A service time at the scale of repairs: ten years have few requests."""

USUAL = Faults(2 * DAY_S, 10 * HOUR_S, 0.05, 3 * HOUR_S, 0.1, 30 * DAY_S)
SOON = Faults(2 * DAY_S, 10 * HOUR_S, 0.001, 60.0, 0.0, 1e9)


@pytest.mark.parametrize(
    ("deployment", "erlangs", "own", "runs"),
    [
        (SINGLE, 1.5, USUAL, 2),
        (THREE, 2.4, USUAL, 2),
        (WARM, 2.4, USUAL, 2),
        (COLD, 1.5, USUAL, 2),
        (PAIR, 0.1, SOON, 20),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_ten_years_event_by_event_lose_what_the_formula_says(
    deployment: Deployment, erlangs: float, own: Faults, runs: int
) -> None:
    """Within 5 %, in the mean of some runs; where starts are soon, most is lost while the standby has failed, too."""
    demand = Demand(erlangs / LONG_S, LONG_S, 2)
    in_flight = demand.erlangs * (1 - demand.refused_share(deployment.running))
    sent_again = in_flight / deployment.running * demand.refused_share(deployment.running - 1)
    lost = float(lost_per_year(deployment, demand, own, Edges(sent_again, in_flight)))
    standby = deployment.kind.value if deployment.kind in (Kind.WARM, Kind.COLD) else ""
    shares = [
        Rig(
            deployment.actives,
            standby,
            demand.capacity,
            demand.rate_per_s,
            demand.service_time_s,
            *(own.mtbf_s, own.repair_s, own.common_cause, own.start_s, own.start_fails, own.router_mtbf_s),
            seed,
        ).run(10 * YEAR_S)
        for seed in range(1, runs + 1)
    ]
    assert fmean(shares) == pytest.approx(lost / (demand.rate_per_s * YEAR_S), rel=0.05)


def test_simulated_years_never_lose_more_than_all() -> None:
    """Where common causes and others overlap most of the time; nor where nothing fails more than all up refuse."""
    own = faults(mtbf_s=np.full(200, DAY_S), repair_s=30 * DAY_S, common_cause=0.5)
    assert (simulate_years(TWO, DEMAND, own, NONE, 1) <= DEMAND.rate_per_s * YEAR_S * (1 + 1e-12)).all()
    never = simulate_years(TWO, DEMAND, faults(mtbf_s=np.full(20, math.inf)), NONE, 1)
    assert never == pytest.approx(np.full(20, DEMAND.rate_per_s * YEAR_S * DEMAND.refused_share(2)), rel=1e-12)


def test_simulated_years_of_a_seed_are_the_same_and_of_another_are_not() -> None:
    """With numbers beside arrays, and with arrays throughout."""
    own = faults(repair_s=np.full(50, HOUR_S), common_cause=0.1)
    first = simulate_years(COLD, DEMAND, own, NONE, 1)
    assert (simulate_years(COLD, DEMAND, own.each_year(), NONE, 1) == first).all()
    assert (simulate_years(COLD, DEMAND, own, NONE, 2) != first).any()
    assert len(first) == 50


def test_simulated_years_of_a_seed_have_the_same_common_causes_for_every_deployment() -> None:
    """And the same faults of the router: where nothing else costs anything, all lose as much, and not always."""
    own = faults(mtbf_s=np.full(50, 20 * DAY_S), common_cause=1, router_mtbf_s=30 * DAY_S)
    light = Demand(0.1, 1.0, 10)
    two, three, cold = (simulate_years(each, light, own, Edges(0, 9), 1) for each in (TWO, THREE, COLD))
    assert two == pytest.approx(three, rel=1e-12)
    assert two == pytest.approx(cold, rel=1e-12)
    assert len(set(two)) == 50


@pytest.mark.parametrize("mtbf_s", [2 * HOUR_S, 20 * DAY_S])
def test_simulated_years_with_a_standby_meet_the_failures_of_those_without(mtbf_s: float) -> None:
    """One that never serves changes nothing, and one that serves makes no year worse."""
    own = {"mtbf_s": np.full(200, mtbf_s), "common_cause": 0.1, "router_mtbf_s": 30 * DAY_S}
    without, fails, late, serves = (
        simulate_years(deployment, DEMAND, faults(**own, **changes), NONE, 1)
        for deployment, changes in ((TWO, {}), (COLD, {"start_fails": 1}), (COLD, {"start_s": 1e9}), (COLD, {}))
    )
    assert fails == pytest.approx(without, rel=1e-9)
    assert late == pytest.approx(without, rel=1e-9)
    assert (serves < without).all()


@pytest.mark.parametrize("count", [1, 3])
def test_simulated_years_in_part_have_the_mean_and_the_spread_of_whole_ones(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Of about 170 faults a year of each, a tenth of the year."""
    failing = Failing(count, np.full(YEARS, 0.5 / DAY_S), np.full(YEARS, 4 * HOUR_S))
    refused = np.array([1.0, 0.6, 0.3, 0.0][-count - 1 :])
    whole = simulate(failing, refused, *streams(1))
    monkeypatch.setattr(outages, "MOST_FAULTS", 17 * count * outages.FULL_YEARS)
    part = simulate(failing, refused, *streams(2))
    for in_part, of_all in zip(part, whole, strict=True):
        assert in_part.mean() == pytest.approx(of_all.mean(), abs=4 * of_all.std() / math.sqrt(YEARS))
        assert in_part.std() == pytest.approx(of_all.std(), rel=0.12)


def test_simulated_years_of_fifty_that_fail_hourly_take_little_memory() -> None:
    """About 15 MB, for years by the thousand; as many years as asked for where these have few faults."""
    fifty, hourly = Deployment(Kind.COLD, 51), faults(mtbf_s=HOUR_S, repair_s=600, common_cause=0.02)
    years = years_that_fit(fifty, hourly, 4_000)
    assert (years, years_that_fit(COLD, faults(), 4_000)) == (1_000, 4_000)
    own = faults(mtbf_s=np.full(years, HOUR_S), repair_s=600, common_cause=0.02)
    tracemalloc.start()
    try:
        lost = simulate_years(fifty, Demand(400.0, 1.0, 10), own, NONE, 1)
        most_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most_bytes < 30e6
    assert len(lost) == years


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"mtbf_s": 0.0}, "mtbf_s is 0.0"),
        ({"mtbf_s": np.array([DAY_S, math.nan])}, "mtbf_s is nan"),
        ({"repair_s": 0.0}, "repair_s is 0.0"),
        ({"repair_s": math.inf}, "repair_s is inf"),
        ({"common_cause": np.array([0.1, 1.5, 2.0])}, "common_cause is 1.5"),
        ({"start_s": -1.0}, "start_s is -1.0"),
        ({"start_fails": -0.1}, "start_fails is -0.1"),
        ({"router_mtbf_s": 0.0}, "router_mtbf_s is 0.0"),
    ],
)
def test_faults_out_of_range_name_the_first_value_and_the_range(changes: dict[str, object], names: str) -> None:
    """In one line, of an array too."""
    with pytest.raises(ValueError, match=f"^{names}; accepted: .* to .*$"):
        faults(**changes)
