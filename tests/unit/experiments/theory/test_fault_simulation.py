"""What a simulated fault costs, beside closed forms and scenarios reckoned by hand."""

from dataclasses import replace
from statistics import mean

import pytest

from experiments.theory.erlang import erlang_b
from experiments.theory.fault_scenario import Cost, Effect, FaultScenario
from experiments.theory.fault_simulation import simulate_fault
from experiments.theory.router_model import Role

REPLICATIONS = 60
CALM_PER_S, HIGH_PER_S = 11.0, 60.0
START_S = 2.0
NOTICED_AGAIN_S = 0.75
"""From a predictor's start until two health checks, each half a second, have passed: in the mean."""

CALM = FaultScenario(
    predictors=(("p1", 10, Role.ACTIVE),),
    rate_per_s=CALM_PER_S,
    pacing_s=20.0,
    service_time_s=0.2,
    late_after_s=0.7,
    effect=Effect.NONE,
    targets=(),
    rate_factor=1.0,
    repair_after_s=3.0,
    window_s=10.0,
    until_planned=True,
    hold_down_s=5.0,
    deadline_s=10.0,
    start_s=(START_S,),
)
"""One active predictor of ten slots, to which nothing happens."""


def faulty(effect: Effect, roles: str = "a", **changes: object) -> FaultScenario:
    """The fault at the first of these predictors: active, standby or cold, by their letters."""
    kinds = {"a": Role.ACTIVE, "s": Role.STANDBY, "c": Role.COLD}
    predictors = tuple((f"p{number}", 10, kinds[letter]) for number, letter in enumerate(roles, 1))
    return replace(CALM, predictors=predictors, effect=effect, targets=(("p1",),), **changes)


def costs_of(scenario: FaultScenario) -> tuple[Cost, ...]:
    """What it costs, some times."""
    return simulate_fault(scenario, REPLICATIONS, seed=7)


def mean_lost(scenario: FaultScenario) -> float:
    """Requests lost in the mean."""
    return mean(cost.lost for cost in costs_of(scenario))


def test_calm_without_a_fault_nothing_is_lost_or_delayed() -> None:
    """2.2 erlangs on 20 slots."""
    scenario = replace(CALM, predictors=(("p1", 10, Role.ACTIVE), ("p2", 10, Role.ACTIVE)))
    assert set(costs_of(scenario)) == {Cost(0, 0)}


@pytest.mark.parametrize(("roles", "slots"), [("a", 10), ("aa", 20), ("as", 20), ("aaa", 30)])
def test_high_load_without_a_fault_loses_what_erlang_b_says(roles: str, slots: int) -> None:
    """The share refused is that of a loss system with these slots, a standby's among them."""
    scenario = replace(faulty(Effect.NONE, roles, rate_per_s=HIGH_PER_S, until_planned=False), targets=())
    offered = HIGH_PER_S * CALM.window_s
    expected = erlang_b(slots, HIGH_PER_S * CALM.service_time_s) * offered
    assert mean_lost(scenario) == pytest.approx(expected, rel=0.05, abs=0.25 * expected + 0.5)


def test_crash_of_a_lone_server_loses_rate_times_outage() -> None:
    """And what is in flight: rate times service time."""
    outage_s = CALM.repair_after_s + START_S + NOTICED_AGAIN_S + CALM.service_time_s
    assert mean_lost(faulty(Effect.KILL)) == pytest.approx(CALM_PER_S * outage_s, rel=0.05)


def test_refusing_lone_server_answers_what_is_in_flight() -> None:
    """It loses as much as a crash less those."""
    outage_s = CALM.repair_after_s + START_S + NOTICED_AGAIN_S
    assert mean_lost(faulty(Effect.CLOSE)) == pytest.approx(CALM_PER_S * outage_s, rel=0.05)


def test_failing_lone_server_loses_what_comes_until_the_repair() -> None:
    """The last predictor in rotation is not taken out, so the repair ends it."""
    assert mean_lost(faulty(Effect.FAIL)) == pytest.approx(CALM_PER_S * CALM.repair_after_s, rel=0.05)


def test_hanging_lone_server_answers_ten_late_and_loses_the_rest() -> None:
    """Its slots fill within a second; these wait for the repair, all others are refused until it is noticed again."""
    costs = costs_of(faulty(Effect.FREEZE))
    until_back_s = CALM.repair_after_s + 0.25  # the check that waits passes at once, the next within half a second
    arrived = CALM_PER_S * (until_back_s + CALM.service_time_s)
    assert mean(cost.lost for cost in costs) == pytest.approx(arrived - 10, rel=0.08)
    assert max(cost.delayed for cost in costs) == 10


def test_hang_beyond_the_deadline_loses_what_waits() -> None:
    """A request that a frozen lone server has is given up at the deadline: nothing is delayed."""
    scenario = faulty(Effect.FREEZE, deadline_s=2.0, repair_after_s=8.0)
    assert {cost.delayed for cost in costs_of(scenario)} == {0}


def test_hang_beside_another_delays_what_waits_until_it_is_taken_out() -> None:
    """Two checks fail within 1.0 to 1.5 s; then its share of the requests, a third, is sent again."""
    costs = costs_of(faulty(Effect.FREEZE, "aaa"))
    assert {cost.lost for cost in costs} == {0}
    assert 1.5 <= mean(cost.delayed for cost in costs) <= 4.6


def test_stalling_lone_server_loses_what_comes_until_the_repair() -> None:
    """Its slots fill within a second; what waits there fails with the repair, all others are refused until then."""
    costs = costs_of(faulty(Effect.STALL))
    assert mean(cost.lost for cost in costs) == pytest.approx(CALM_PER_S * CALM.repair_after_s, rel=0.05)
    assert {cost.delayed for cost in costs} == {0}


def test_stall_beside_others_delays_what_waits_until_it_is_suspected() -> None:
    """After a second, in which the others have answered: its share of the requests, a third, is sent again then."""
    costs = costs_of(faulty(Effect.STALL, "aaa"))
    assert {cost.lost for cost in costs} == {0}
    assert 1.0 <= mean(cost.delayed for cost in costs) <= CALM_PER_S / 3 + 0.5


def test_stall_beyond_the_deadline_takes_the_predictor_out() -> None:
    """A standby replaces it then; nothing is lost, though the load needs both, for 20 slots take 10 a second."""
    scenario = faulty(Effect.STALL, "aas", deadline_s=4.0, repair_after_s=8.0)
    assert {cost.lost for cost in costs_of(scenario)} == {0}


@pytest.mark.parametrize("effect", [Effect.KILL, Effect.CLOSE, Effect.FAIL, Effect.UPGRADE])
@pytest.mark.parametrize("roles", ["aas", "aaa", "ass"])
def test_calm_with_twenty_slots_left_loses_nothing(effect: Effect, roles: str) -> None:
    """What failed is sent again to another, soon enough not to be late."""
    scenario = faulty(effect, roles)
    if effect is Effect.UPGRADE:
        scenario = replace(scenario, targets=(("p1", "p2", "p3"),))
    assert set(costs_of(scenario)) == {Cost(0, 0)}


@pytest.mark.parametrize("effect", [Effect.KILL, Effect.CLOSE, Effect.FAIL, Effect.UPGRADE])
@pytest.mark.parametrize("roles", ["aa", "as", "aac"])
def test_calm_with_ten_slots_left_loses_hardly_anything(effect: Effect, roles: str) -> None:
    """One request in ten thousand finds ten slots full."""
    assert mean_lost(faulty(effect, roles)) < 0.3


def test_error_without_resending_loses_three_until_it_is_taken_out() -> None:
    """Three failed answers in a row (a good one from before may come in between), and out for a long hold-down."""
    lost = [cost.lost for cost in costs_of(faulty(Effect.FAIL, "aaa", resend=False))]
    assert min(lost) == 3
    assert mean(lost) < 3.5


def test_crash_without_resending_loses_what_is_in_flight() -> None:
    """A third of rate times service time; what was never sent goes to another all the same."""
    expected = CALM_PER_S * CALM.service_time_s / 3
    assert mean_lost(faulty(Effect.KILL, "aaa", resend=False)) == pytest.approx(expected, abs=0.3)


def test_crash_of_the_router_loses_what_is_in_flight() -> None:
    """Rate times service time, wherever it was; who comes a moment later waits for the spare, and is not late."""
    scenario = replace(faulty(Effect.ROUTER_KILL, "aas"), targets=())
    costs = costs_of(scenario)
    assert mean(cost.lost for cost in costs) == pytest.approx(CALM_PER_S * CALM.service_time_s, rel=0.2)
    assert {cost.delayed for cost in costs} == {0}


def test_slow_lone_server_has_ten_late_for_each_of_its_service_times() -> None:
    """Ten slots of 2 s each: at most twice ten start within 3 s."""
    costs = costs_of(faulty(Effect.SLOW))
    assert min(cost.delayed for cost in costs) >= 10
    assert max(cost.delayed for cost in costs) == 20


def test_upgrade_of_a_lone_server_loses_all_until_it_is_back() -> None:
    """It is drained for what it has in flight, then stopped and started, and noticed again by its checks."""
    outage_s = CALM.service_time_s + START_S + NOTICED_AGAIN_S
    assert mean_lost(faulty(Effect.UPGRADE)) == pytest.approx(CALM_PER_S * outage_s, rel=0.08)


def test_crash_with_one_down_at_n_plus_1_refuses_what_erlang_b_says() -> None:
    """Of three one is out for the outage: 20 of 30 slots, 12 erlangs."""
    scenario = faulty(Effect.KILL, "aaa", rate_per_s=HIGH_PER_S, until_planned=False, start_s=(20.0,))
    outage_s = scenario.repair_after_s + 20.0 + NOTICED_AGAIN_S
    assert mean_lost(scenario) == pytest.approx(erlang_b(20, 12.0) * HIGH_PER_S * outage_s, rel=0.25)


def test_two_down_at_n_plus_1_lose_more_than_one() -> None:
    """10 of 30 slots are left: 30 % are refused until both are back."""
    scenario = replace(faulty(Effect.KILL, "aaa", rate_per_s=HIGH_PER_S, until_planned=False), targets=(("p1", "p2"),))
    outage_s = scenario.repair_after_s + START_S + NOTICED_AGAIN_S
    assert mean_lost(scenario) == pytest.approx(erlang_b(10, 12.0) * HIGH_PER_S * outage_s, rel=0.15)


def test_cold_standby_ends_the_outage_once_it_is_started() -> None:
    """It is wanted at once and started by the next look, before the operator's repair of the active."""
    outage_s = 0.05 + START_S + NOTICED_AGAIN_S + CALM.service_time_s
    lost = mean_lost(faulty(Effect.KILL, "ac"))
    assert lost == pytest.approx(CALM_PER_S * outage_s, rel=0.08)
    assert mean_lost(faulty(Effect.KILL, "as")) < 0.3


def test_surge_is_refused_where_the_slots_are_few() -> None:
    """180 requests/s for 2.7 s on 20 slots, 36 erlangs: about B(20, 36) of them."""
    scenario = replace(faulty(Effect.NONE, "aa", rate_per_s=HIGH_PER_S, until_planned=False), targets=())
    beyond = mean_lost(replace(scenario, rate_factor=3.0)) - mean_lost(scenario)
    assert beyond == pytest.approx(erlang_b(20, 36.0) * 3 * HIGH_PER_S * 2.7, rel=0.1)


def test_surge_while_down_comes_on_top_of_a_crash() -> None:
    """With a second predictor nothing is lost to the crash; what the surge loses is refused by the other's slots."""
    scenario = faulty(Effect.KILL, "aa", rate_per_s=30.0, until_planned=False)
    surged = mean_lost(replace(scenario, rate_factor=3.0))
    assert surged > 10 * mean_lost(scenario)


def test_same_seed_gives_the_same_costs() -> None:
    """And another seed others."""
    scenario = faulty(Effect.KILL)
    first = simulate_fault(scenario, 20, 1)
    simulate_fault.cache_clear()
    assert simulate_fault(scenario, 20, 1) == first
    assert simulate_fault(scenario, 20, 2) != first


@pytest.mark.parametrize(
    ("field", "value"),
    [("rate_per_s", 0.0), ("service_time_s", 0.0), ("rate_factor", 0.5), ("start_s", ())],
)
def test_scenario_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    """The text names the value."""
    with pytest.raises(ValueError, match=field):
        faulty(Effect.KILL, **{field: value})
