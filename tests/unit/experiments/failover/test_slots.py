"""Slots in rotation and in reserve, and how many a load needs."""

import dataclasses
from pathlib import Path

import pytest

from experiments.failover.rate import n_plus_1_rate
from experiments.failover.records import CALM, N_PLUS_1, Action, DomainPlan, OfferedLoad, read_fault_runs
from experiments.failover.slots import (
    below_need_s,
    has_reserve,
    recovered_for_good_s,
    refused_share,
    slots_needed,
    without_reserve_s,
)
from experiments.failover.windows import WindowRecords, windows_of
from experiments.results.records import Event
from experiments.theory.erlang import erlang_b
from tests.unit.experiments.failover.hand_written import (
    EVENTS_OF_CRASH,
    REGIONS,
    SETTINGS_HERE,
    SINGLE,
    THREE,
    TWO,
    T,
    write_run,
)

COLD = dataclasses.replace(TWO, name="2cold", cold=["predict3"])


def records_of(tmp_path: Path, plan: DomainPlan, events: list[Event], erlangs: float) -> WindowRecords:
    """A crash's window under such a load, of 10 s."""
    write_run(tmp_path, plan)
    [run] = read_fault_runs(tmp_path)
    load = OfferedLoad(CALM, erlangs / SETTINGS_HERE.service_time_s, "", ["crash"])
    settings = dataclasses.replace(SETTINGS_HERE, topologies=[plan], loads=[load])
    return windows_of(dataclasses.replace(run, events=events), settings)[0]


@pytest.mark.parametrize("erlangs", [0.0, 0.1, 2.2, 4.46, 9.0, 20.0])
def test_slots_needed_are_the_fewest_that_refuse_at_most_one_in_a_hundred(erlangs: float) -> None:
    """One fewer would refuse more."""
    needed = slots_needed(erlangs)
    assert erlang_b(needed, erlangs) <= 0.01
    assert needed == 1 or erlang_b(needed - 1, erlangs) > 0.01


@pytest.mark.parametrize("plans", [[TWO], [REGIONS], [DomainPlan("2only", {"a": 4, "b": 4}, {}, {})]])
@pytest.mark.parametrize("service_time_s", [0.2, 0.4, 0.7, 1.0])
def test_slots_left_with_one_down_are_enough_for_the_load_that_is_reckoned_from_them(
    plans: list[DomainPlan], service_time_s: float
) -> None:
    """The rate of n+1 is written in two decimals: rounding it up does not make the slots one too few."""
    found = n_plus_1_rate(plans, service_time_s, at_once=1)
    assert found is not None
    assert slots_needed(found[0] * service_time_s) == plans[0].slots - max(plans[0].capacities.values())


def test_slots_of_a_cold_standby_are_not_there_to_carry_the_load() -> None:
    """What is refused with all up, and the reserve, go by the slots that run."""
    assert refused_share(COLD, 15.0) == pytest.approx(erlang_b(20, 15.0))
    assert refused_share(TWO, 15.0) == pytest.approx(erlang_b(30, 15.0))
    assert has_reserve(TWO, 10.0)
    assert not has_reserve(COLD, 10.0)


def test_time_below_need_ends_with_the_promotion(tmp_path: Path) -> None:
    """Of 20 slots needed 10 are missing from the ejection until the standby is in rotation."""
    two = records_of(tmp_path / "2", TWO, EVENTS_OF_CRASH, erlangs=12.0)
    assert slots_needed(two.erlangs) == 20
    assert below_need_s(two) == pytest.approx(0.0001, abs=1e-6)
    events = [event for event in EVENTS_OF_CRASH if event.predictor == "predict1"]
    three = records_of(tmp_path / "3", THREE, events, erlangs=15.0)
    assert slots_needed(three.erlangs) == 24
    assert below_need_s(three) == pytest.approx(6.9)


def test_time_without_reserve_lasts_until_the_failed_predictor_is_back(tmp_path: Path) -> None:
    """With one down the other two carry what needs up to 10 slots without one of them, and no more."""
    calm = records_of(tmp_path / "calm", TWO, EVENTS_OF_CRASH, erlangs=2.2)
    assert without_reserve_s(calm) == 0.0
    loaded = records_of(tmp_path / "loaded", TWO, EVENTS_OF_CRASH, erlangs=10.0)
    assert without_reserve_s(loaded) == pytest.approx(6.9)


def test_topology_without_reserve_by_plan_is_without_one_always(tmp_path: Path) -> None:
    """A lone predictor has none: no time says so, null does."""
    assert without_reserve_s(records_of(tmp_path, SINGLE, [], erlangs=2.2)) is None


def test_events_of_other_kinds_change_nothing(tmp_path: Path) -> None:
    """Routers say more than who is in rotation, and will say more yet."""
    more = [Event(T + 0.05, kind, "predict2", "") for kind in ("saturated", "wanted", "started", "something new")]
    for events in (EVENTS_OF_CRASH, [*more, *EVENTS_OF_CRASH]):
        found = records_of(tmp_path / str(len(events)), TWO, events, erlangs=10.0)
        assert recovered_for_good_s(found, in_roles=False) == pytest.approx(T + 0.1001)
        assert recovered_for_good_s(found, in_roles=True) == pytest.approx(T + 9.0)
        assert without_reserve_s(found) == pytest.approx(6.9)


def test_standby_that_a_greater_load_keeps_promoted_is_in_rotation_when_the_fault_strikes(tmp_path: Path) -> None:
    """Then the events before the window say who serves; the loss of an active leaves as many slots as planned."""
    events = [
        Event(T - 5, "promoted", "predict3", "saturated"),
        Event(T + 0.1, "ejected", "predict1", ""),
        Event(T + 7, "readmitted", "predict1", ""),
    ]
    calm = records_of(tmp_path, TWO, events, erlangs=12.0)
    loaded = dataclasses.replace(calm, load=dataclasses.replace(calm.load, name=N_PLUS_1))
    assert below_need_s(calm) == pytest.approx(6.9)
    assert below_need_s(loaded) == 0.0
    assert recovered_for_good_s(loaded, in_roles=False) is None
    assert recovered_for_good_s(loaded, in_roles=True) == T + 7
    restarted = [*loaded.run.actions, Action(T - 1, 0, "router restart", "router gone", "router", N_PLUS_1)]
    anew = dataclasses.replace(loaded, run=dataclasses.replace(loaded.run, actions=restarted))
    assert below_need_s(anew) == pytest.approx(6.9), "a router that was stopped and started has all as planned"


def test_cold_standby_is_a_reserve_only_while_it_serves(tmp_path: Path) -> None:
    """Promoted it carries the load; stepped back it is no reserve."""
    found = records_of(tmp_path, COLD, EVENTS_OF_CRASH, erlangs=2.2)
    assert without_reserve_s(found) == pytest.approx(0.0001, abs=1e-6)
