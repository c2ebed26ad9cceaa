"""The answer: the cheapest deployment that holds the target, a year of each, and what matters."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.answer import costs
from experiments.answer.answer import Answer, answer, cold_instead, recommend
from experiments.answer.costs import total_cost
from experiments.answer.inputs import DEFAULTS, Input, Inputs
from experiments.answer.measured import EdgeLosses, Measured
from experiments.results.store import as_json
from experiments.theory.sizing import Deployment, Kind, size_of

POINTS = Inputs(**{name: replace(each, low=None, high=None) for name, each in DEFAULTS.items()})
"""The defaults without their ranges."""

OF_THE_POST = ("single", "2active, no standby", "2active, cold standby", "2active, warm standby", "3active")


@pytest.fixture(autouse=True)
def few_years(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here does not hang on how many."""
    monkeypatch.setattr(costs, "YEARS", 200)


@pytest.fixture(scope="module")
def of_the_post() -> Answer:
    """The post's own case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "YEARS", 200)
        return answer(Inputs(**DEFAULTS))


def test_answer_has_what_programs_read(of_the_post: Answer) -> None:
    """The names of the JSON object, which do not change."""
    document = as_json(of_the_post)
    assert {"sentence", "sizes", "per_year", "inputs", "matters_most"} <= document.keys()
    size = {"kind", "predictors", "slots", "utilisation", "refused_share", "refused_share_one_down", "meets_target"}
    assert all(size <= each.keys() for each in document["sizes"])
    assert {each["kind"] for each in document["sizes"]} == {"single", "active", "warm", "cold"}
    figures = ("lost", "downtime_min", "downtime_cost", "server_cost", "total_cost")
    for row in document["per_year"]:
        assert {"deployment", "predictors", "running", "nines"} <= row.keys()
        assert all({"mean", "p5", "p95"} <= row[name].keys() for name in figures)
        assert all(row[name]["p5"] <= row[name]["p95"] for name in figures)
    assert {each["deployment"] for each in document["per_year"]} >= {*OF_THE_POST, of_the_post.recommended}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "3active"),
        ({"rate": 12.0}, "4active"),
        ({"rate": 2.0}, "2active, no standby"),
        ({"rate": 12.0, "target": 99.0}, "4active"),
        ({"rate": 12.0, "target": 99.0, "per_minute": 1.0}, "3active"),
    ],
)
def test_answer_takes_the_cheapest_of_all_that_hold_the_target(values: dict[str, float], name: str) -> None:
    """None whose predictors all run costs less and holds it with one down: dear downtime may ask for one more."""
    inputs = POINTS.with_values(**values)
    recommended = recommend(inputs, {})
    assert recommended.name == name
    every = [Deployment(kind, count) for kind in (Kind.ACTIVE, Kind.WARM) for count in range(3, 9)]
    holding = [
        each
        for each in [Deployment(Kind.ACTIVE, 2), *every]
        if size_of(each, inputs.demand, inputs.most_refused).meets_target
    ]
    costs = {each: total_cost(each, inputs, {}) for each in holding}
    assert costs[recommended] <= 1.01 * min(costs.values())
    assert not any(each.running < recommended.running and cost <= costs[recommended] for each, cost in costs.items())


def test_answer_gives_the_fewest_of_each_kind_up_and_with_one_down() -> None:
    """Of 12 requests/s at 99.9 % three predictors hold it while all are up, four with one down."""
    found = answer(POINTS.with_values(rate=12.0))
    sizes = {(each.kind, each.predictors): (each.meets_target_up, each.meets_target) for each in found.sizes}
    assert sizes == {
        ("single", 1): (False, False),
        ("active", 3): (True, False),
        ("active", 4): (True, True),
        ("warm", 3): (True, False),
        ("warm", 4): (True, True),
        ("cold", 4): (True, False),
        ("cold", 5): (True, True),
    }


def test_answer_cold_standby_breaks_even_where_both_cost_the_same() -> None:
    """Just below that start it costs less, just above more."""
    inputs = POINTS.with_values(rate=9.0, target=99.0, server_hour=3.0, start_time=20.0, per_minute=78.0)
    found = answer(inputs)
    cold = found.cold
    assert cold.break_even_s is not None
    assert cold.cheaper == (cold.break_even_s > 20.0)
    recommended = recommend(inputs, {})
    instead = cold_instead(recommended)
    for factor, cheaper in ((0.99, True), (1.01, False)):
        own = inputs.with_values(start_time=factor * cold.break_even_s)
        assert (total_cost(instead, own, {}) < total_cost(recommended, inputs, {})) is cheaper


@pytest.mark.parametrize(("values", "always"), [({"server_hour": 0.0}, False), ({"per_minute": 0.0}, True)])
def test_answer_cold_standby_may_never_or_always_cost_less(values: dict[str, float], always: bool) -> None:
    """Servers that are free, or downtime that is."""
    cold = answer(POINTS.with_values(**values)).cold
    assert cold.break_even_s is None
    assert (cold.at_any_start, cold.cheaper) == (always, always)


def test_answer_tornado_is_ordered_and_names_what_decides_nothing(of_the_post: Answer) -> None:
    """What changes the cost by less than 1 % and the answer not at all."""
    widths = [each.width for each in of_the_post.tornado]
    assert widths == sorted(widths, reverse=True)
    assert of_the_post.matters_most == of_the_post.tornado[0].input
    for each in of_the_post.tornado:
        small = each.width < 0.01 * of_the_post.mean_cost and not each.decides
        assert (each.input in of_the_post.decides_nothing) is small
    assert "router_loss" in of_the_post.decides_nothing
    assert "common_cause" not in of_the_post.decides_nothing


def test_answer_price_that_is_known_is_not_varied() -> None:
    """Who gives the price of a server knows it; a range of it is varied."""
    known = answer(POINTS.with_values(server_hour=1.2))
    assert "server_hour" not in {each.input for each in known.tornado}
    ranged = answer(replace(POINTS, server_hour=Input(1.0, "$", "given", 0.5, 2.0)))
    assert "server_hour" in {each.input for each in ranged.tornado}


def test_answer_input_that_changes_it_says_to_what() -> None:
    """Downtime that costs little at one end of its range: fewer predictors are the cheapest there."""
    found = answer(
        replace(POINTS.with_values(rate=12.0, target=99.0), per_minute=Input(100.0, "$", "given", 1, 10_000))
    )
    swing = next(each for each in found.tornado if each.input == "per_minute")
    assert swing.changes_answer_to
    assert found.recommended not in swing.changes_answer_to


def test_answer_measured_edges_count_in_place_of_theorys() -> None:
    """Ten requests more per fault and request in flight, and delays that theory alone does not know."""
    plain = answer(POINTS)
    edges = {"3active": EdgeLosses(lost=(10.0, 10.0), delayed=(2.0, 4.0))}
    found = answer(POINTS, Measured("results/x", {}, edges))

    def row(of: Answer) -> Any:
        return next(each for each in of.per_year if each.deployment == "3active")

    erlangs, faults_a_year = 8.6, 3 * 365 / 30
    more = row(found).lost.mean - row(plain).lost.mean
    assert more == pytest.approx(10 * erlangs * faults_a_year * (1 - 0.02), rel=0.05)
    assert row(plain).delayed is None
    assert row(found).delayed.mean == pytest.approx(3 * erlangs * faults_a_year, rel=0.05)


def test_answer_server_that_queues_needs_as_many_as_its_saturation_says() -> None:
    """Ten slots of 1 s that give 5 answers/s in place of 10: twice as many predictors, about."""
    free = POINTS.with_values(rate=40.0, per_minute=1.0)
    queues = replace(free, saturation=Input(5.0, "answers/s", "measured"))
    assert recommend(free, {}).running == 7
    assert 9 <= recommend(queues, {}).running <= 11


def test_answer_target_that_no_size_holds_is_an_error() -> None:
    """More requests than a thousand predictors carry."""
    with pytest.raises(ValueError, match=r"refuse more than 0\.1 % of 900000 requests/s"):
        answer(POINTS.with_values(rate=900_000.0))


def test_answer_says_whether_a_cold_standby_costs_less_at_both_ends_of_a_range() -> None:
    """Where a minute of downtime costs little at one end, it does there, and not at the other."""
    found = answer(replace(POINTS.with_values(rate=12.0), per_minute=Input(100.0, "$", "given", 10, 100_000)))
    turning = {each.input for each in found.tornado if each.turns_cold}
    assert "per_minute" in turning
    assert "per_minute" not in found.decides_nothing


def test_answer_losses_by_cause_add_up_to_the_years() -> None:
    """Too few slots, single predictors, common causes and the router: nothing else loses requests."""
    found = answer(POINTS.with_values(rate=12.0))
    row = next(each for each in found.per_year if each.deployment == found.recommended)
    assert all(value >= 0 for value in found.lost_by_cause.values())
    assert sum(found.lost_by_cause.values()) == pytest.approx(row.lost.mean, rel=0.35)  # of 200 years, by chance
    alone = answer(POINTS.with_values(rate=12.0, common_cause=0.0, router_loss=0.0)).lost_by_cause
    assert (alone["common causes"], alone["the router's failures"]) == (0, 0)
    single = "single predictors' failures"
    assert alone[single] == pytest.approx(found.lost_by_cause[single], rel=0.05)


def test_answer_with_half_and_twice_the_slots_is_what_they_would_give() -> None:
    """The slots of a predictor are what is known least, and size everything."""
    found = answer(POINTS.with_values(rate=12.0))
    assert found.by_capacity == {
        slots: recommend(POINTS.with_values(rate=12.0, threshold=slots), {}).name for slots in (5, 20)
    }
    assert found.by_capacity[5] != found.recommended


def test_answer_router_may_lose_more_than_it_has_in_flight() -> None:
    """An old run's router that was stopped and started: its measured loss counts in full."""
    once, six = (answer(POINTS.with_values(router_loss=loss)).lost_by_cause["the router's failures"] for loss in (1, 6))
    assert six == pytest.approx(6 * once)
