"""The balancer's invariants over random topologies and random events, beside a model that knows only the rules.

Reproducible unless EXPLORE is set in the environment: then other examples each time, and twenty times as many.
"""

import os
from collections.abc import Callable, Collection
from math import inf

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from routing.balancer import Balancer
from routing.events import Event
from routing.refusals import ALL_AT_CAPACITY, SaturatedError
from routing.rotation import Found, Slot
from routing.topology import Role
from tests.unit.routing.balancer_model import HOLD_DOWN_S, PLANS, Model, Plan, topology_of
from tests.unit.routing.balancers import MAX_ERRORS, release_all, reserve, sequence

EXPLORING = "EXPLORE" in os.environ

PREDICTORS = st.integers(0, 5)  # whom an event concerns; taken modulo their number
TRIED = st.lists(PREDICTORS, max_size=3)
PAUSES_S = (0.25, 1.0, 2.5, 4.75, HOLD_DOWN_S, 5.25, 10.0)  # around the hold-down, where decisions change


def examples(count: int, steps: int = 50) -> settings:
    """How long to search; an example's own time says nothing about the rule."""
    return settings(
        max_examples=count * (20 if EXPLORING else 1),
        stateful_step_count=steps,
        derandomize=not EXPLORING,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )


class BalancerMachine(RuleBasedStateMachine):
    """Random events, each applied to the balancer and to the model."""

    balancer: Balancer
    model: Model
    now = 0.0
    serial = 0

    @initialize(plan=PLANS)
    def start(self, plan: Plan) -> None:
        """Begins at time 0 with a random topology."""
        topology = topology_of(plan)
        self.balancer = Balancer(topology, 0.0, HOLD_DOWN_S, MAX_ERRORS)
        self.model = Model(topology.entries)

    def name(self, number: int, among: Collection[str] = ()) -> str:
        """The predictor that a random number stands for, one of `among` if there are any."""
        names = sorted(among) or list(self.model.entries)
        return names[number % len(names)]

    # Requests

    @rule(tried=TRIED)
    def choose(self, tried: list[int]) -> None:
        """One request comes, or comes again after others have failed it."""
        self.place([self.name(number) for number in tried])

    @rule(count=st.integers(1, 12))
    def choose_many(self, count: int) -> None:
        """A burst, so that saturation is met often."""
        while count and self.place([]):
            count -= 1

    def place(self, names: list[str]) -> bool:
        """The right predictor gets the request, or it is refused in the right words; tell which."""
        expected = self.model.expected(self.now, names)
        assert self.balancer.has_free_slot(self.now, names) == isinstance(expected, str)
        if not isinstance(expected, str):
            self.model.refuse(self.now)
            with pytest.raises(expected):
                self.balancer.choose(self.now, names)
            self.follow_events(promotions=0)
            return False
        promotes = expected not in self.model.rotation()
        slot = self.balancer.choose(self.now, names)
        assert slot.predictor.name == expected
        self.serial += 1
        self.model.held[expected].append(slot)
        self.model.last_chosen[expected] = self.serial
        self.follow_events(promotions=int(promotes), standbys=[expected])
        return True

    @rule(pick=st.integers(0, 99))
    def release(self, pick: int) -> None:
        """Some request ends."""
        held = [slot for slots in self.model.held.values() for slot in slots]
        if held:
            self.give_back(held[pick % len(held)])

    @rule()
    def release_all(self) -> None:
        """All requests end."""
        for slots in list(self.model.held.values()):
            for slot in slots.copy():
                self.give_back(slot)

    def give_back(self, slot: Slot) -> None:
        """Releases a slot; a second time must not count."""
        self.model.note(self.now)
        self.balancer.release(slot, self.now)
        self.model.held[slot.predictor.name].remove(slot)
        with pytest.raises(RuntimeError):
            self.balancer.release(slot, self.now)
        self.follow_events(promotions=0)

    @rule(number=PREDICTORS)
    def answered(self, number: int) -> None:
        """A good answer ends a row of failures, and what was said of being busy."""
        self.model.note(self.now)
        self.balancer.answered(self.name(number), self.now, 0.0)
        self.model.answer(self.name(number), self.now)
        self.model.errors[self.name(number)] = 0
        self.follow_events(promotions=0)

    @rule(number=PREDICTORS, count=st.integers(1, 4), blame=st.sampled_from([True, True, True, False]))
    def answers_failed(self, number: int, count: int, blame: bool) -> None:
        """Failed answers eject at the third in a row, the last in rotation never."""
        name = self.name(number)
        for _ in range(count):
            self.model.note(self.now)
            self.balancer.answer_failed(name, self.now, "answered 500", blame)
            self.model.errors[name] += blame
            rotation = self.model.rotation()
            if blame and self.model.errors[name] >= MAX_ERRORS and name in rotation and len(rotation) > 1:
                self.model.fail(name, self.now, self.now + HOLD_DOWN_S)
            self.follow_events()
            assert self.balancer.predictors[name].up == (name not in self.model.down)

    @rule(number=PREDICTORS, count=st.integers(1, 4))
    def answers_busy(self, number: int, count: int) -> None:
        """Busy answers eject where nothing else is said for the hold-down, though others answer."""
        name = self.name(number)
        for _ in range(count):
            self.model.note(self.now)
            self.balancer.busy(name, self.now)
            if self.model.say_busy(name, self.now):
                self.model.fail(name, self.now, self.now + HOLD_DOWN_S)
            self.follow_events()
            assert self.balancer.predictors[name].up == (name not in self.model.down)

    # Predictors and time

    @rule(number=PREDICTORS, found=st.sampled_from(Found))
    def eject(self, number: int, found: Found) -> None:
        """The health checks find one down; a cold standby that is not in rotation may end."""
        name = self.name(number)
        was_up, runs = name not in self.model.down, found in (Found.SILENT, Found.WRONG)
        self.model.note(self.now)
        assert self.balancer.eject(name, self.now, "no answer", found) == was_up
        if not runs:
            self.model.unwell.discard(name)
        elif found is Found.WRONG:
            self.model.unwell.add(name)
        if was_up:
            may = self.model.entries[name].cold and name not in self.model.promoted and not runs
            until_s = -inf if may else self.model.returned_s[name] + HOLD_DOWN_S
            self.model.fail(name, self.now, until_s, runs)
        self.follow_events()

    @rule(number=PREDICTORS)
    def readmit(self, number: int) -> None:
        """The health checks find one well: it is back, unless it flaps and others serve."""
        name = self.name(number, self.model.down)
        self.model.note(self.now)
        if name in self.model.down and (self.now >= self.model.waits_until_s[name] or not self.model.rotation()):
            self.model.down.remove(name)
            self.model.unwell.discard(name)
            self.model.returned_s[name] = self.now
        assert self.balancer.readmit(name, self.now) == (name not in self.model.down)
        self.follow_events()

    @rule(number=PREDICTORS)
    def drain(self, number: int) -> None:
        """The operator takes one out; what failed before the planned work does not count after it."""
        self.model.note(self.now)
        if self.name(number) not in self.model.drained:
            self.model.errors[self.name(number)] = 0
        self.balancer.drain(self.name(number), self.now)
        self.model.drained.add(self.name(number))
        self.model.leave(self.name(number))
        self.follow_events()

    @rule(number=PREDICTORS)
    def ready(self, number: int) -> None:
        """The operator puts one back."""
        name = self.name(number, self.model.drained)
        self.model.note(self.now)
        self.balancer.ready(name, self.now)
        self.model.drained.discard(name)
        self.follow_events()

    @rule(seconds=st.sampled_from(PAUSES_S), ticks=st.booleans())
    def time_passes(self, seconds: float, ticks: bool) -> None:
        """Up to 10 s go by."""
        self.model.note(self.now)
        self.now += seconds
        self.model.note(self.now)
        if ticks:
            self.tick()

    @rule()
    def tick(self) -> None:
        """Standbys step back only when it has been calm, or the actives back, for the hold-down."""
        before = self.model.promoted.copy()
        self.model.note(self.now)
        refused_s = -inf if self.model.saturated_s is None else self.model.saturated_s
        calm_s = self.now - max(self.model.busy_until_s, refused_s)
        if calm_s >= HOLD_DOWN_S:
            self.model.saturated_s = None
        self.balancer.tick(self.now)
        self.follow_events(promotions=0, demotions=len(before))
        gone = [name for name in before if name not in self.model.promoted]
        calm = self.now - self.model.busy_until_s >= HOLD_DOWN_S
        lately = self.model.most_missing_lately(self.now)
        assert not gone or calm or not lately
        needed = lately if not self.model.missing() else self.model.missing()
        assert len(self.model.promoted) >= min(len(before), needed)

    # What must hold

    def follow_events(
        self, promotions: int | None = None, demotions: int = 0, standbys: list[str] | None = None
    ) -> None:
        """Takes the events into the model; each has a reason, and each promotion and demotion must be allowed."""
        needs = max(0, self.model.missing() - len(self.model.promoted))
        allowed = needs + (self.model.saturated_s is not None) if promotions is None else promotions
        for event in self.balancer.pop_new_events():
            assert event.reason
            if event.event == "promoted":
                allowed -= 1
                for_failure = promotions is None and event.reason != ALL_AT_CAPACITY
                self.follow_promotion(event, for_failure, standbys)
            elif event.event == "demoted":
                demotions -= 1
                assert self.now - self.model.role_changed_s[event.predictor] >= HOLD_DOWN_S
                self.model.promoted.remove(event.predictor)
                self.model.role_changed_s[event.predictor] = self.now
            elif event.event in ("wanted", "unwanted"):
                assert (event.predictor in self.model.wanted) == (event.event == "unwanted")
                self.model.wanted ^= {event.predictor}
            self.model.wanted &= self.model.startable()
        assert allowed >= 0
        assert demotions >= 0
        self.model.follow_rotation()
        if self.model.waiting():
            self.model.saturated_s = None
        self.model.note(self.now)

    def follow_promotion(self, event: Event, for_failure: bool, standbys: list[str] | None) -> None:
        """The first in file order that may be; within the hold-down only to replace a failure."""
        name = event.predictor
        assert name == (standbys or self.model.waiting())[0]
        assert name in self.model.waiting()
        assert for_failure or self.now - self.model.role_changed_s[name] >= HOLD_DOWN_S
        self.model.saturated_s = None
        self.model.promoted.append(name)
        self.model.role_changed_s[name] = self.now

    @invariant()
    def no_slot_is_lost_or_doubled(self) -> None:
        """Every load is the number of slots held there, and within its bounds."""
        for name, predictor in self.balancer.predictors.items():
            assert predictor.load == self.model.load(name)
            assert 0 <= predictor.load <= predictor.peak_load <= predictor.entry.capacity

    @invariant()
    def rotation_is_who_should_serve(self) -> None:
        """Available actives and promoted standbys; never one that is down or drained."""
        serving = {name for name, predictor in self.balancer.predictors.items() if predictor.in_rotation}
        assert serving == self.model.rotation()
        assert all(self.model.available(name) for name in serving)

    @invariant()
    def as_many_as_possible_stand_in(self) -> None:
        """While actives are missing, as many standbys are promoted, as far as there are any."""
        assert len(self.model.promoted) >= self.model.missing() or not self.model.waiting()

    @invariant()
    def a_cold_standby_is_wanted_for_each_need_that_none_meets(self) -> None:
        """For a missing active, or after a refusal; never one that runs, and no more than are needed."""
        startable = self.model.startable()
        assert {name for name, p in self.balancer.predictors.items() if p.wanted} == self.model.wanted & startable
        assert len(self.model.wanted & startable) == min(self.model.unmet(), len(startable))

    def teardown(self) -> None:
        """When all is well and calm again for long enough, everything is as it was at first."""
        if not hasattr(self, "model"):
            return
        self.release_all()
        self.now += HOLD_DOWN_S
        for _ in self.model.entries:
            self.ready(0)
            self.readmit(0)
        self.now += HOLD_DOWN_S
        self.tick()
        states = {name: predictor.state for name, predictor in self.balancer.predictors.items()}
        assert states == {
            n: "serving" if not entry.role.is_backup else "standby" for n, entry in self.model.entries.items()
        }
        assert not any(predictor.load for predictor in self.balancer.predictors.values())


@pytest.mark.timeout(3600 if EXPLORING else 120)
def test_balancer_random_events_keep_the_invariants() -> None:
    """No lost or doubled slot, never over capacity, least load, ties rotate, no flapping inside the hold-down."""
    run_state_machine_as_test(BalancerMachine, settings=examples(250))


@examples(60)
@given(plan=PLANS, count=st.integers(1, 40))
def test_choose_idle_pool_ties_rotate(plan: Plan, count: int) -> None:
    """One after the other on an idle pool, requests visit the actives in file order, over and over."""
    balancer = Balancer(topology_of(plan), 0.0)
    actives = [entry.name for entry in topology_of(plan).entries if not entry.role.is_backup]
    assert sequence(balancer, count) == "".join(actives[number % len(actives)] for number in range(count))


@examples(60)
@given(plan=PLANS)
def test_choose_until_refused_fills_every_slot_once(plan: Plan) -> None:
    """Exactly as many requests are placed as there are slots, standbys last; then they are refused."""
    balancer = Balancer(topology_of(plan), 0.0)
    slots = sum(capacity for capacity, kind in plan if kind != "cold")
    chosen = [balancer.choose(0.0).predictor.entry.role is Role.ACTIVE for _ in range(slots)]
    assert chosen == sorted(chosen, reverse=True)
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)
    assert all(p.load == (0 if p.entry.cold else p.entry.capacity) for p in balancer.predictors.values())


BUSY: dict[str, Callable[[Balancer], object]] = {
    "requests": lambda balancer: release_all(balancer, reserve(balancer, 3), 0.0),
    "orders": lambda balancer: (balancer.drain("p0", 0.0), balancer.ready("p0", 0.0), balancer.pop_new_events()),
    "resends": lambda balancer: balancer.release(balancer.choose(0.0, ["p0"]), 0.0),
}


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_balancer_long_service_does_not_grow(busy: Callable[[Balancer], object]) -> None:
    """However long the balancer serves, what it remembers of loads that are past stays bounded."""
    balancer = Balancer(topology_of([(4, "active"), (3, "active"), (2, "active")]), 0.0)
    most = 0
    for _ in range(3000):
        busy(balancer)
        most = max(most, len(balancer._rotation._heap))  # no public figure tells it
    assert most <= 100
