"""Balancers for tests: predictors have one-letter names; times are seconds given by the test."""

from pathlib import Path

import pytest

from routing.balancer import Balancer
from routing.refusals import SaturatedError
from routing.remembering import RememberingBalancer
from routing.rotation import Found, Slot
from routing.topology import Entry, Role, Topology

HOLD_DOWN_S = 5.0
MAX_ERRORS = 3


def balancer_of(actives: str, standbys: str = "", capacity: int = 10) -> RememberingBalancer:
    """A balancer at time 0 with an active or standby predictor per letter, in this order; capitals are cold."""
    entries = tuple(
        Entry(
            name, "127.0.0.1", 9000 + number, capacity,
            Role.ACTIVE if name in actives else Role.STANDBY, cold=name.isupper(),
        )
        for number, name in enumerate(actives + standbys)
    )  # fmt: skip
    return RememberingBalancer(Topology("test", Path("test.json"), entries, {}, "{}"), 0.0, HOLD_DOWN_S, MAX_ERRORS)


def play(pool: str, script: str, capacity: int = 10) -> RememberingBalancer:
    """Plays a script on a balancer of `actives+standbys`; returns the balancer.

    Each step is `time order [argument] [-> who is in rotation then]`. The orders are the balancer's own; `fail ab` is a
    failed answer of each, `nothing s`, `loading s` and `wrong s` what a health check found, `refused` a request that
    finds all full, and `load 3` holds exactly three requests from then on, the newest ending first.
    """
    balancer = balancer_of(*pool.split("+"), capacity=capacity)
    held: list[Slot] = []
    for step in script.split(", "):
        order, _, rotation = step.partition(" -> ")
        carry_out(balancer, held, *order.split())
        assert not rotation or serving(balancer) == rotation, step
    return balancer


def carry_out(balancer: Balancer, held: list[Slot], time: str, order: str, argument: str = "") -> None:
    """Carries out one step of a script; `held` are the requests in flight."""
    now = float(time)
    match order:
        case "answered":
            balancer.answered(argument, now, 0.0)
        case "eject":
            balancer.eject(argument, now, "no answer")
        case "nothing" | "loading" | "wrong":
            balancer.eject(argument, now, order, Found[order.upper()])
        case "refused":
            with pytest.raises(SaturatedError):
                balancer.choose(now)
        case "fail":
            for name in argument:
                balancer.answer_failed(name, now, "answered 500")
        case "load":
            while len(held) > int(argument):
                balancer.release(held.pop(), now)
            held += reserve(balancer, int(argument) - len(held), now)
        case "readmit":
            assert balancer.readmit(argument, now) == balancer.predictors[argument].up
        case "tick":
            balancer.tick(now)
        case _:
            getattr(balancer, order)(argument, now)


def reserve(balancer: Balancer, count: int, now: float = 0.0) -> list[Slot]:
    """Chooses `count` times and gives nothing back."""
    return [balancer.choose(now) for _ in range(count)]


def names(slots: list[Slot]) -> str:
    """Who was chosen, in order."""
    return "".join(slot.predictor.name for slot in slots)


def release_all(balancer: Balancer, slots: list[Slot], now: float) -> None:
    """Gives all slots back."""
    for slot in slots:
        balancer.release(slot, now)


def sequence(balancer: Balancer, count: int, now: float = 0.0) -> str:
    """Who gets `count` requests sent one after the other."""
    chosen = ""
    for _ in range(count):
        slot = balancer.choose(now)
        chosen += slot.predictor.name
        balancer.release(slot, now)
    return chosen


def serving(balancer: Balancer) -> str:
    """Who is in rotation, in file order."""
    return "".join(name for name, predictor in balancer.predictors.items() if predictor.in_rotation)


def states(balancer: Balancer) -> str:
    """Every standby's state, in file order."""
    return " ".join(p.state for p in balancer.predictors.values() if p.entry.role.is_backup)


def loads(balancer: Balancer) -> list[int]:
    """Every predictor's load, in file order."""
    return [predictor.load for predictor in balancer.predictors.values()]


def new_events(balancer: Balancer) -> str:
    """The events since the last call, without time and reason."""
    return ", ".join(f"{event.event} {event.predictor}" for event in balancer.pop_new_events())
