"""Balancers for tests: predictors have one-letter names; times are seconds given by the test."""

from pathlib import Path

from routing.balancer import Balancer
from routing.rotation import Slot
from routing.topology import Entry, Role, Topology

HOLD_DOWN_S = 5.0
MAX_ERRORS = 3


def balancer_of(actives: str, standbys: str = "", capacity: int = 10) -> Balancer:
    """A balancer at time 0 with an active or standby predictor per letter, in this order."""
    entries = tuple(
        Entry(name, "127.0.0.1", 9000 + number, capacity, Role.ACTIVE if name in actives else Role.STANDBY)
        for number, name in enumerate(actives + standbys)
    )
    return Balancer(Topology("test", Path("test.json"), entries, {}, "{}"), 0.0, HOLD_DOWN_S, MAX_ERRORS)


def reserve(balancer: Balancer, count: int, now: float = 0.0) -> list[Slot]:
    """Choose `count` times and give nothing back."""
    return [balancer.choose(now) for _ in range(count)]


def names(slots: list[Slot]) -> str:
    """Who was chosen, in order."""
    return "".join(slot.predictor.name for slot in slots)


def release_all(balancer: Balancer, slots: list[Slot], now: float) -> None:
    """Give all slots back."""
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


def new_events(balancer: Balancer) -> list[tuple[str, str]]:
    """The events since the last call, without time and reason."""
    return [(event.event, event.predictor) for event in balancer.pop_new_events()]


def fail_in_a_row(balancer: Balancer, name: str, count: int, now: float = 0.0) -> None:
    """Count this many failed answers."""
    for _ in range(count):
        balancer.answer_failed(name, now, "answered 500")
