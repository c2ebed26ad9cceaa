"""How many predictors a load needs, beside a linear search with scipy's Poisson distribution."""

import math
from itertools import count, product

import pytest

from experiments.theory.erlang import erlangs_at_blocking
from experiments.theory.sizing import MOST_PREDICTORS, MOST_SLOTS, Demand, Deployment, Kind, fewest, size_of, sizes
from tests.unit.experiments.theory.birth_and_death import by_birth_and_death, by_poisson

DEMANDS = [
    Demand(rate, service_time, capacity)
    for rate, service_time, capacity in product((0.01, 8.6, 200.0), (0.02, 1.0), (1, 10, 64))
]
TARGETS = (0.1, 0.001, 1e-6)

QUEUEING = [Demand(rate, 0.5, 10, saturation) for rate, saturation in product((1.0, 12.0, 90.0), (2.5, 7.9, 100.0))]
"""One predictor serves 1.25, 3.95 and all ten of its requests at full speed."""


def refused(demand: Demand, predictors: int) -> float:
    """The refused share, not by the code tested."""
    slots, erlangs = predictors * demand.capacity, demand.rate_per_s * demand.service_time_s
    if not demand.queues:
        return by_poisson(slots, erlangs) if slots else 1.0
    return by_birth_and_death(slots, erlangs, predictors * demand.saturation_per_s * demand.service_time_s)


def one_by_one(demand: Demand, most_refused: float) -> int:
    """The fewest predictors, by trying each number."""
    return next(each for each in count(1) if refused(demand, each) <= most_refused)


@pytest.mark.parametrize("most_refused", TARGETS)
@pytest.mark.parametrize("demand", [*DEMANDS, *QUEUEING], ids=str)
def test_fewest_is_the_first_number_that_holds_the_target(demand: Demand, most_refused: float) -> None:
    """Of all that are tried one by one."""
    assert fewest(demand, most_refused) == one_by_one(demand, most_refused)


@pytest.mark.parametrize("most_refused", TARGETS)
@pytest.mark.parametrize("demand", [*DEMANDS, *QUEUEING], ids=str)
def test_sizes_refuse_as_computed_otherwise_up_and_with_one_down(demand: Demand, most_refused: float) -> None:
    """To a relative 1e-9; what holds the target says so, and nothing else."""
    for size in sizes(demand, most_refused):
        running = size.deployment.running
        up, one_down = (refused(demand, each) for each in (running, running - 1))
        assert size.slots == running * demand.capacity
        assert size.refused_share == pytest.approx(up, rel=1e-9, abs=1e-300)
        assert size.refused_share_one_down == pytest.approx(one_down, rel=1e-9, abs=1e-300)
        assert (size.meets_up, size.meets_target) == (up <= most_refused, max(up, one_down) <= most_refused)


@pytest.mark.parametrize("demand", [*DEMANDS, *QUEUEING], ids=str)
def test_sizes_of_each_kind_of_several_hold_the_target_up_then_with_one_down(demand: Demand) -> None:
    """The single one stands first, whatever it holds; none is given twice; one fewer would not do."""
    first, *several = sizes(demand, 0.001)
    assert first.deployment == Deployment(Kind.SINGLE, 1)
    assert len({size.deployment for size in several}) == len(several)
    for kind in (Kind.ACTIVE, Kind.WARM, Kind.COLD):
        running = [size.deployment.running for size in several if size.deployment.kind is kind]
        needed = one_by_one(demand, 0.001)
        assert running == [each for each in (needed, needed + 1) if each > 1 or kind is Kind.COLD]
    assert all(size.meets_up for size in several)
    assert {size.deployment.kind for size in several if size.meets_target} == {Kind.ACTIVE, Kind.WARM, Kind.COLD}


def test_sizes_at_twelve_requests_per_second_need_three_and_a_fourth_for_one_down() -> None:
    """Of 1 s, on ten slots each, at 99.9 %."""
    active = [size for size in sizes(Demand(12.0, 1.0, 10), 0.001) if size.deployment.kind is Kind.ACTIVE]
    assert [(size.deployment.name, size.meets_target) for size in active] == [("3active", False), ("4active", True)]


def test_fewest_beyond_the_most_that_is_looked_for_says_how_many_do_not_do() -> None:
    """By predictors and by slots; the last that is looked for is still found."""
    with pytest.raises(ValueError, match=rf"^{MOST_PREDICTORS} predictors refuse more than 0.1 % of 20000 requests/s$"):
        fewest(Demand(20_000.0, 1.0, 10), 0.001)
    with pytest.raises(ValueError, match=r"^2 predictors refuse more than"):
        fewest(Demand(1e6, 1.0, MOST_SLOTS // 2), 0.001)
    most_erlangs = erlangs_at_blocking(MOST_PREDICTORS, 0.02)
    assert fewest(Demand(most_erlangs * (1 - 1e-9), 1.0, 1), 0.02) == MOST_PREDICTORS


@pytest.mark.parametrize("most_refused", [0.0, -0.1, 1.0, math.nan])
def test_fewest_without_a_target_is_refused(most_refused: float) -> None:
    """None refused at all is held by no number of slots, all refused by none."""
    with pytest.raises(ValueError, match=r"^most_refused is .*; accepted: above 0 and below 1$"):
        fewest(Demand(8.6, 1.0, 10), most_refused)


@pytest.mark.parametrize(
    ("demand", "utilisation"),
    [(Demand(12.0, 1.0, 10), 0.6), (Demand(12.0, 1.0, 10, 4.0), 1.5), (Demand(12.0, 1.0, 10, 40.0), 0.6)],
)
def test_utilisation_is_the_load_by_what_slots_or_server_carry(demand: Demand, utilisation: float) -> None:
    """Whichever of the two is less."""
    two = size_of(Deployment(Kind.ACTIVE, 2), demand, 0.001)
    assert two.utilisation == pytest.approx(utilisation)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((0.0, 1.0, 10), "rate_per_s is 0.0"),
        ((math.inf, 1.0, 10), "rate_per_s is inf"),
        ((8.6, 0.0, 10), "service_time_s is 0.0"),
        ((8.6, 1.0, 0), "capacity is 0"),
        ((8.6, 1.0, MOST_SLOTS + 1), "capacity is 500001"),
        ((8.6, 1.0, 10, 0.0), "saturation_per_s is 0.0"),
    ],
)
def test_demand_out_of_range_names_value_and_range(values: tuple[float, ...], names: str) -> None:
    """In one line."""
    with pytest.raises(ValueError, match=f"^{names}; accepted: .*$"):
        Demand(*values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "predictors"), [("single", 2), ("active", 0), ("warm", 1), ("cold", 1)])
def test_deployment_of_a_number_that_its_kind_cannot_have_is_refused(kind: str, predictors: int) -> None:
    """A standby stands beside another."""
    with pytest.raises(ValueError, match=f"^predictors is {predictors}; accepted: "):
        Deployment(Kind(kind), predictors)


@pytest.mark.parametrize(
    ("kind", "predictors", "name", "actives", "running"),
    [
        ("single", 1, "single", 1, 1),
        ("active", 2, "2active, no standby", 2, 2),
        ("active", 3, "3active", 3, 3),
        ("warm", 3, "2active, warm standby", 2, 3),
        ("cold", 3, "2active, cold standby", 2, 2),
    ],
)
def test_deployment_is_called_by_its_actives(kind: str, predictors: int, name: str, actives: int, running: int) -> None:
    """A warm standby runs, a cold one does not."""
    deployment = Deployment(Kind(kind), predictors)
    assert (deployment.name, deployment.actives, deployment.running) == (name, actives, running)
