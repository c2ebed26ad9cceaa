"""What it costs that one predictor is out: counted on records made by hand."""

import dataclasses
import random
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest

from experiments.answer.measured import OneDown
from experiments.failover.one_down import (
    MeasuredWindow,
    Outage,
    check_one_down,
    deployment_of,
    edge_losses,
    independent_requests,
    pooled,
    spells_of,
    totals,
)
from experiments.failover.records import CALM, Action, DomainPlan, FailoverRun, FaultRun, OfferedLoad, SteadyRequest
from experiments.failover.window_metrics import measure_window
from experiments.failover.windows import windows_of
from experiments.results.records import Event
from experiments.theory.erlang import erlang_b
from experiments.theory.intervals import wilson
from experiments.theory.sizing import Demand
from tests.unit.experiments.failover.hand_written import (
    EVENTS_OF_CRASH,
    REGIONS,
    SETTINGS_HERE,
    SINGLE,
    THREE,
    TWO,
    T,
    fault_steps,
    request,
)

COLD = dataclasses.replace(TWO, name="2cold", cold=["predict3"])
ONLY = DomainPlan("2only", {"a": 4, "b": 4}, {"a": "active", "b": "active"}, {})
LOAD = OfferedLoad(CALM, 10.0, "by hand", ["crash"])
DEMAND = Demand(rate_per_s=10.0, service_time_s=0.2, capacity=10)
OUT_AND_BACK = [event for event in EVENTS_OF_CRASH if event.predictor == "predict1"]
"""Out of the rotation from 0.1 s after the fault until 7 s after it."""


def measured(
    plan: DomainPlan,
    requests: Sequence[SteadyRequest],
    events: Sequence[Event] = OUT_AND_BACK,
    actions: Sequence[Action] = (),
    repeat: int = 1,
) -> list[MeasuredWindow]:
    """The windows of a run, of a crash unless actions are given."""
    actions = list(actions or fault_steps())
    run = FaultRun(Path(), FailoverRun(plan.name, repeat, T, T + 60), actions, list(requests), list(events), [], {})
    settings = dataclasses.replace(SETTINGS_HERE, topologies=[plan], loads=[LOAD], supervised=True)
    return [MeasuredWindow(each, measure_window(each)) for each in windows_of(run, settings)]


def ten_per_s(lost_until_s: float = 0.0, begins_s: float = 0.0) -> list[SteadyRequest]:
    """A request every tenth of a second for 10 s, of which those sent before are lost."""
    return [request(begins_s + k / 10, "down" if k / 10 < lost_until_s else "") for k in range(100)]


def checked(plan: DomainPlan, windows: Sequence[MeasuredWindow]) -> OneDown:
    """What was refused with one down, which must have been."""
    found = check_one_down(SETTINGS_HERE, plan, LOAD, windows, answer_s=0.2)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (SINGLE, "single"),
        (ONLY, "2active, no standby"),
        (TWO, "2active, warm standby"),
        (COLD, "2active, cold standby"),
        (THREE, "3active"),
        (DomainPlan("1+1", {"a": 4, "b": 4}, {"a": "active", "b": "standby"}, {}), "1active, warm standby"),
    ],
)
def test_topology_is_the_deployment_of_its_roles(plan: DomainPlan, name: str) -> None:
    """By name, as the answer has it."""
    deployment = deployment_of(plan)
    assert deployment is not None
    assert deployment.name == name


@pytest.mark.parametrize(
    "plan",
    [
        REGIONS,
        dataclasses.replace(ONLY, regions={"a": "A", "b": "B"}),
        DomainPlan("3", dict.fromkeys("abc", 4), {"a": "active", "b": "standby", "c": "standby"}, {}),
        dataclasses.replace(ONLY, capacities={"a": 4, "b": 5}),
        dataclasses.replace(ONLY, roles={"a": "standby", "b": "standby"}),
    ],
)
def test_topology_of_another_shape_is_no_deployment(plan: DomainPlan) -> None:
    """Regions, several standbys, unequal capacities, no active."""
    assert deployment_of(plan) is None


def test_predictor_is_gone_from_the_fault_though_the_router_takes_it_out_later() -> None:
    """Ejected after 0.1 s, readmitted after 7 s, a second after its repair."""
    [window] = measured(THREE, ten_per_s())
    without = frozenset({"predict2", "predict3"})
    all_of_them = without | {"predict1"}
    gone = [(each.begins_s - T, each.ends_s - T, each.names) for each in spells_of(window.records, noticed=False)]
    assert gone == [(0.0, pytest.approx(7), without), (pytest.approx(7), pytest.approx(10), all_of_them)]
    seen = spells_of(window.records, noticed=True)
    assert [each.names for each in seen] == [all_of_them, without, all_of_them]
    assert seen[1].begins_s - T == pytest.approx(0.1)


def test_predictor_that_the_router_keeps_is_gone_until_its_repair() -> None:
    """A stall that no event tells of ends with the repair, after 6 s."""
    [window] = measured(THREE, ten_per_s(), events=[], actions=fault_steps("stall"))
    assert [each.ends_s - T for each in spells_of(window.records, noticed=False)] == [6.0, 10.0]


def test_edge_of_a_lone_predictor_is_what_was_in_flight() -> None:
    """All that is sent in the 7 s without it is refused anyway; a request that it had when it was killed is not."""
    in_flight = request(-0.1, "connection broke", latency_s=0.15)
    found = edge_losses(measured(SINGLE, [in_flight, *ten_per_s(lost_until_s=7.0)]), DEMAND)
    assert found.lost == (pytest.approx((1 - 30 * erlang_b(10, 2.0)) / 2.0, abs=1e-6),)
    assert found.delayed == (0.0,)


def test_edge_below_zero_is_kept() -> None:
    """Fewer lost than the formula has in the mean: the mean over faults needs it."""
    found = edge_losses(measured(SINGLE, ten_per_s(lost_until_s=5.0)), DEMAND)
    assert found.lost == (pytest.approx(-10.0, abs=0.01),)


def test_edge_counts_delays_per_erlang() -> None:
    """Three answers over half a second late, at 2 erlangs."""
    late = [request(k, latency_s=0.9) for k in (1, 2, 3)]
    assert edge_losses(measured(THREE, [*ten_per_s(), *late]), DEMAND).delayed == (1.5,)


@pytest.mark.parametrize(
    "actions", [fault_steps("surge while down"), fault_steps("double crash", "predict1+predict2"), fault_steps("slow")]
)
def test_other_faults_have_no_edge(actions: list[Action]) -> None:
    """More load, two at once, or a predictor that still answers."""
    windows = measured(THREE, ten_per_s(lost_until_s=2.0), actions=actions)
    assert not any(each.takes_one_away for each in windows)
    assert edge_losses(windows, DEMAND).lost == ()


def test_one_down_counts_from_an_answers_time_after_the_ejection_until_just_before_the_return() -> None:
    """Out from 0.1 to 7 s: those sent from 0.3 s to 6.9 s, two of them refused, beside Erlang B at their rate."""
    refused = [request(each, "saturated") for each in (0.25, 3.05, 6.85, 6.95)]
    found = checked(THREE, measured(THREE, [*ten_per_s(), *refused]))
    assert (found.deployment, found.topology, found.load, found.faults, found.slots) == (
        "3active",
        "3active",
        CALM,
        1,
        20,
    )
    assert (found.sent, found.refused) == (68, 2)
    assert found.erlang_b == round(erlang_b(20, 68 / 6.6 * 0.21), 6)
    assert (found.fault, found.struck, found.measured, found.lost_per_fault) == ("crash", 1, 4, 4.0)


def test_one_down_of_a_cold_standby_ends_as_it_serves() -> None:
    """Promoted 2.1 s after the fault: from then on as many slots as before are there."""
    events = [OUT_AND_BACK[0], Event(T + 2.1, "promoted", "predict3", "predict1 is down"), OUT_AND_BACK[1]]
    found = checked(COLD, measured(COLD, ten_per_s(), events))
    assert (found.sent, found.slots) == (17, 10)
    warm = checked(TWO, measured(TWO, ten_per_s(), events))
    assert (warm.sent, warm.slots) == (66, 20)


def test_one_down_has_no_figure_where_the_router_never_took_one_out() -> None:
    """A stall that ended before it was noticed says nothing about slots."""
    windows = measured(THREE, ten_per_s(), events=[], actions=fault_steps("stall"))
    assert check_one_down(SETTINGS_HERE, THREE, LOAD, windows, answer_s=0.2) is None


def test_interval_counts_the_same_moments_of_a_run_once() -> None:
    """Users send every 20 s: an outage a pacing later meets the same moments, one of another run does not."""
    pacing_s = SETTINGS_HERE.pacing_s
    again = [dataclasses.replace(each, time_s=each.time_s + pacing_s, window=2) for each in fault_steps()]
    events = [*OUT_AND_BACK, *(dataclasses.replace(each, time=each.time + pacing_s) for each in OUT_AND_BACK)]
    requests = [*ten_per_s(7.0), *ten_per_s(7.0, begins_s=pacing_s)]
    same = checked(SINGLE, measured(SINGLE, requests, events, [*fault_steps(), *again]))
    other = checked(SINGLE, [*measured(SINGLE, ten_per_s(7.0)), *measured(SINGLE, ten_per_s(7.0), repeat=2)])
    assert (same.sent, other.sent) == (132, 132)
    assert same.low == pytest.approx(wilson(1.0, 66).low, abs=1e-6)
    assert other.low == pytest.approx(wilson(1.0, 132).low, abs=1e-6)


def arrivals_of(offsets_s: Sequence[float], from_s: float, until_s: float) -> list[float]:
    """When users at these places of the pacing send between two moments."""
    pacing_s = SETTINGS_HERE.pacing_s
    turns = range(int(from_s // pacing_s), int(until_s // pacing_s) + 1)
    return sorted(at for turn in turns for each in offsets_s if from_s <= (at := turn * pacing_s + each) < until_s)


def outage_of_a_loss_system(offsets_s: Sequence[float], begins_s: float, run: int) -> Outage:
    """What 20 slots of 0.41 s refuse for 5 s once 10 others have gone, from an answer's time after that on."""
    held_s, ends_s = 0.41, begins_s + 5.0
    busy: deque[float] = deque()
    sent = []
    for at_s in arrivals_of(offsets_s, begins_s - 4, ends_s):
        while busy and busy[0] <= at_s:
            busy.popleft()
        served = len(busy) < (30 if at_s < begins_s else 20)
        if served:
            busy.append(at_s + held_s)
        if at_s >= begins_s + held_s:
            sent.append(request(at_s - T, "" if served else "saturated", latency_s=held_s))
    return Outage(run, begins_s + held_s, ends_s, sent)


def test_interval_holds_the_formula_in_95_of_100_runs() -> None:
    """Counted as independent requests it would in fewer than 90: refusals come in groups, and users come again."""
    chance, load = random.Random(1917), OfferedLoad(CALM, 30.0, "by hand", [])
    held = independent = 0
    for _ in range(150):
        users = [[chance.uniform(0.0, 20.0) for _ in range(600)] for _ in range(3)]
        outages = [
            outage_of_a_loss_system(own, chance.uniform(100, 200), run)
            for run, own in enumerate(users)
            for _ in range(3)
        ]
        sent, refused, rate_per_s = totals(outages)
        formula = erlang_b(20, rate_per_s * 0.41)
        worth = independent_requests(outages, 20, load, 0.41, SETTINGS_HERE.pacing_s)
        held += wilson(refused / sent, worth).contains(formula)
        independent += wilson(refused / sent, sent).contains(formula)
    assert held >= 0.93 * 150
    assert independent < 0.9 * 150


def test_edges_of_topologies_that_are_one_deployment_are_pooled() -> None:
    """And a deployment that met no fault has none."""
    edges = edge_losses(measured(SINGLE, ten_per_s(7.0)), DEMAND)
    found = pooled([("single", edges), ("3active", edge_losses([], DEMAND)), ("single", edges)])
    assert found.keys() == {"single"}
    assert len(found["single"].lost) == len(found["single"].delayed) == 2
