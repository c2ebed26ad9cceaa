"""The router's rules as the simulation has them, beside the router's own balancer."""

import random
from pathlib import Path

import pytest

from experiments.theory.router_model import Predictor, Role, RouterModel
from routing.balancer import Balancer
from routing.refusals import RefusedError
from routing.rotation import Found, Slot
from routing.topology import Entry, Topology
from routing.topology import Role as RouterRole

HOLD_DOWN_S = 5.0
CAPACITY = 3
ROUTER_ROLES = {
    Role.ACTIVE: RouterRole.ACTIVE,
    Role.STANDBY: RouterRole.STANDBY,
    Role.COLD: RouterRole.STANDBY,
}
PAUSES_S = (0.0, 0.1, 0.5, 2.5, HOLD_DOWN_S, 6.0)


class Pair:
    """The model and the balancer, given the same events."""

    def __init__(self, actives: int, standbys: int, cold: int) -> None:
        names = [f"p{number}" for number in range(actives + standbys + cold)]
        roles = [Role.ACTIVE] * actives + [Role.STANDBY] * standbys + [Role.COLD] * cold
        self.model = RouterModel([Predictor(n, CAPACITY, r) for n, r in zip(names, roles, strict=True)], HOLD_DOWN_S)
        entries = tuple(
            Entry(name, "127.0.0.1", 9000 + number, CAPACITY, ROUTER_ROLES[role], cold=role is Role.COLD)
            for number, (name, role) in enumerate(zip(names, roles, strict=True))
        )
        self.balancer = Balancer(Topology("test", Path("test.json"), entries, {}, "{}"), 0.0, HOLD_DOWN_S)
        self.held: list[tuple[Predictor, Slot]] = []
        self.now = 0.0

    def place(self, tried: list[Predictor]) -> None:
        """Both place a request, or both refuse it."""
        chosen = self.model.choose(self.now, tried)
        try:
            slot = self.balancer.choose(self.now, [each.name for each in tried])
        except RefusedError:
            assert chosen is None
            return
        assert chosen is not None
        assert chosen.name == slot.predictor.name
        self.held.append((chosen, slot))

    def release(self, number: int) -> None:
        """One of the requests in flight ends."""
        if self.held:
            predictor, slot = self.held.pop(number % len(self.held))
            self.model.release(predictor, self.now)
            self.balancer.release(slot, self.now)

    def change(self, event: str, predictor: Predictor) -> None:
        """An event of this predictor."""
        match event:
            case "eject":
                self.model.eject(predictor, self.now)
                self.balancer.eject(predictor.name, self.now, "gone", Found.NOTHING)
            case "readmit":
                self.model.readmit(predictor, self.now)
                self.balancer.readmit(predictor.name, self.now)
            case "drain" if not predictor.drained:
                self.model.drain(predictor, self.now)
                self.balancer.drain(predictor.name, self.now)
            case "ready" if predictor.drained:
                self.model.ready(predictor, self.now)
                self.balancer.ready(predictor.name, self.now)
            case "fail" if predictor.role is not Role.COLD:  # what faults hit is an active
                self.model.answer_failed(predictor, self.now)
                self.balancer.answer_failed(predictor.name, self.now, "500")
            case "answer":
                predictor.errors = 0
                self.balancer.answered(predictor.name, self.now, 0.0)

    def assert_same(self) -> None:
        """The same predictors are up, in rotation and as loaded."""
        for each in self.model.predictors:
            own = self.balancer.predictors[each.name]
            assert (each.up, each.load, each in self.model.rotation) == (own.up, own.load, own.in_rotation), each.name
        startable = sum(each.startable for each in self.balancer.predictors.values())
        wanted = sum(each.wanted for each in self.balancer.predictors.values())
        assert min(self.model.cold_wanted, startable) == wanted


@pytest.mark.parametrize("seed", range(60))
def test_model_decides_as_the_balancer_does(seed: int) -> None:
    """Whatever happens, in whatever order: both choose, promote, eject, readmit and step back alike."""
    rng = random.Random(seed)
    pair = Pair(rng.randint(1, 3), rng.randint(0, 2), rng.randint(0, 2))
    for _ in range(400):
        pair.now += rng.choice(PAUSES_S)
        match rng.randrange(6):
            case 0 | 1:
                pair.place(rng.sample(list(pair.model.predictors), rng.choice((0, 0, 0, 1))))
            case 2:
                pair.release(rng.randrange(100))
            case 3:
                pair.model.tick(pair.now)
                pair.balancer.tick(pair.now)
            case _:
                event = rng.choice(("eject", "readmit", "readmit", "drain", "ready", "ready", "fail", "answer"))
                pair.change(event, rng.choice(pair.model.predictors))
        pair.assert_same()


def cold_router() -> tuple[RouterModel, Predictor, Predictor]:
    """A router with one active and one cold standby."""
    active, cold = Predictor("active", CAPACITY, Role.ACTIVE), Predictor("cold", CAPACITY, Role.COLD)
    return RouterModel([active, cold], HOLD_DOWN_S), active, cold


def test_cold_standby_is_wanted_while_an_active_is_missing() -> None:
    """It is promoted as soon as it is up, and wanted no more once the active is back."""
    router, active, cold = cold_router()
    assert router.as_planned
    assert not router.cold_wanted
    router.eject(active, 1.0)
    assert router.cold_wanted == 1
    assert not router.whole
    router.readmit(cold, 3.0)
    assert router.rotation == [cold]
    assert not router.cold_wanted
    router.readmit(active, 4.0)
    assert router.whole
    assert not router.as_planned


def test_cold_standby_is_wanted_from_a_refusal_until_the_load_has_been_low() -> None:
    """A refusal for want of a slot has it wanted; a hold-down at low load ends that."""
    router, active, _ = cold_router()
    for _ in range(CAPACITY):
        assert router.choose(0.0) is active
    assert not router.cold_wanted
    assert router.choose(1.0) is None
    assert router.cold_wanted == 1
    for _ in range(CAPACITY):
        router.release(active, 2.0)
    router.tick(2.0 + HOLD_DOWN_S - 0.1)
    assert router.cold_wanted == 1
    router.tick(2.0 + HOLD_DOWN_S)
    assert not router.cold_wanted


def test_cold_standby_takes_over_when_it_comes_up_while_all_are_full() -> None:
    """It was started for the load, and is in rotation at once."""
    router, active, cold = cold_router()
    for _ in range(CAPACITY + 1):
        router.choose(0.0)
    router.readmit(cold, 2.0)
    assert router.rotation == [active, cold]
    assert router.choose(2.1) is cold
