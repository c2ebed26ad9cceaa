"""Slots in rotation and in reserve from event to event of a fault's window, and how many a load needs.

`erlangs` is None where theory does not apply: then it is not known what a load needs, and no topology is overloaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.failover.records import CALM, DomainPlan, Step
from experiments.failover.windows import WindowRecords
from experiments.results.records import Event
from experiments.theory.erlang import erlang_b

MOST_REFUSED = 0.01
"""A load needs the fewest slots that refuse at most this share of it; that much of it they "survive"."""

DIGITS_OF_SHARE = 4
"""Shares are held to it in so many decimals: rates are written in two, and so may lie a hair above what slots carry."""


def is_too_much(refused: float) -> bool:
    """Whether a load of which this share is refused is more than the slots carry."""
    return round(refused, DIGITS_OF_SHARE) > MOST_REFUSED


def slots_needed(erlangs: float | None) -> int | None:
    """The fewest slots that refuse at most 1 % of random arrivals (Erlang B)."""
    if erlangs is None:
        return None
    slots = 1
    while is_too_much(erlang_b(slots, erlangs)):
        slots += 1
    return slots


def refused_share(plan: DomainPlan, erlangs: float | None) -> float | None:
    """The share that the topology refuses with everything up (Erlang B), without its cold standbys."""
    return None if erlangs is None else erlang_b(plan.warm_slots, erlangs)


def is_overloaded(plan: DomainPlan, erlangs: float | None) -> bool:
    """Whether the load is more than the topology carries with everything up."""
    refused = refused_share(plan, erlangs)
    return refused is not None and is_too_much(refused)


@dataclass(frozen=True)
class Rotation:
    """Which predictors take requests, and which could, from one moment on."""

    time_s: float
    """Epoch seconds."""
    plan: DomainPlan
    inside: frozenset[str]
    """Those in rotation."""
    down: frozenset[str] = frozenset()
    """Those that have failed."""
    out: frozenset[str] = frozenset()
    """Those that an operator has taken out."""

    @property
    def slots(self) -> int:
        """The slots in rotation."""
        return self.plan.slots_of(self.inside & self.plan.capacities.keys())

    @property
    def slots_with_one_down(self) -> int:
        """The slots that would be left without the largest of those in rotation or standing by warm."""
        capacities = [self.plan.capacities[name] for name in self.available]
        return sum(capacities) - max(capacities, default=0)

    @property
    def available(self) -> frozenset[str]:
        """Those in rotation, and those that stand by warm: the router promotes one when all are full."""
        warm = {name for name in self.plan.standbys if name not in self.plan.cold}
        return (self.inside | (warm - self.down - self.out)) & self.plan.capacities.keys()

    @property
    def is_whole(self) -> bool:
        """Whether every active serves and no predictor is missing; standbys may serve besides."""
        return self.inside >= frozenset(self.plan.actives) and not self.down and not self.out

    @property
    def is_as_planned(self) -> bool:
        """Whether actives serve and standbys stand by, all of them up."""
        return self.is_whole and self.inside == frozenset(self.plan.actives)

    def after(self, time_s: float, event: str, name: str) -> "Rotation":
        """The rotation after an event of the router; kinds that change none are passed over."""
        inside, down, out = set(self.inside), set(self.down), set(self.out)
        if event in ("ejected", "failed"):
            down.add(name)
        elif event in ("readmitted", "recovered", "started", "ended"):  # the last two are of cold standbys
            down.discard(name)
        elif event == "drained":
            out.add(name)
        elif event == "ready":
            out.discard(name)
        if event in ("ejected", "drained", "demoted"):
            inside.discard(name)
        elif event in ("promoted", "readmitted") or (
            event == "ready" and name in self.plan.actives and name not in down
        ):
            inside.add(name)
        return Rotation(time_s, self.plan, frozenset(inside), frozenset(down), frozenset(out))


def as_planned(plan: DomainPlan, time_s: float = 0.0) -> Rotation:
    """The rotation by plan."""
    return Rotation(time_s, plan, frozenset(plan.actives))


def rotations(records: WindowRecords) -> Iterator[Rotation]:
    """The rotation when the fault strikes, and after each of the window's events."""
    window, earlier = records.window, as_planned(records.plan)
    for event in _events_before(records):
        earlier = earlier.after(event.time, event.event, event.predictor)
    rotation = replace(earlier, time_s=window.injected_s)
    yield rotation
    for event in records.events:
        rotation = rotation.after(event.time, event.event, event.predictor)
        yield rotation


def _events_before(records: WindowRecords) -> list[Event]:
    """What happened to predictors since all was last known to be as planned: under the calm load nothing.

    Under a greater load a standby may have been promoted for good. A router goes on where the one before it was, unless
    that had been stopped.
    """
    if records.load.name == CALM:
        return []
    struck_s = records.window.injected_s
    known_s = [
        action.time_s
        for action in records.run.actions
        if (action.action, action.load) == (Step.RECOVERED, CALM) or action.action == Step.ROUTER_GONE
    ]
    since_s = max((time_s for time_s in known_s if time_s <= struck_s), default=0.0)
    return [event for event in records.run.events if event.predictor and since_s <= event.time < struck_s]


def has_reserve(plan: DomainPlan, erlangs: float | None) -> bool | None:
    """Whether with all as planned the load could do without any one predictor at once."""
    needed = slots_needed(erlangs)
    return None if needed is None else as_planned(plan).slots_with_one_down >= needed


def below_need_s(records: WindowRecords) -> float | None:
    """Seconds in which fewer slots were in rotation than the load needs."""
    needed = slots_needed(records.erlangs)
    if needed is None:
        return None
    return sum(length_s for rotation, length_s in _lengths(records) if rotation.slots < needed)


def without_reserve_s(records: WindowRecords) -> float | None:
    """Seconds in which one more failure would have left fewer slots than the load needs; None: by plan, so always."""
    needed = slots_needed(records.erlangs)
    if needed is None or not has_reserve(records.plan, records.erlangs):
        return None
    return sum(length_s for rotation, length_s in _lengths(records) if rotation.slots_with_one_down < needed)


def recovered_for_good_s(records: WindowRecords, *, in_roles: bool) -> float | None:
    """When as many slots as planned, or with `in_roles` all predictors in their roles, were back for good.

    Epoch seconds, by the router's events; None if none were ever missing.
    """
    steps, planned = list(rotations(records)), records.plan.slots_of(records.plan.actives)
    missing = [n for n, step in enumerate(steps) if step.slots < planned]
    if in_roles:
        missing = [n for n, step in enumerate(steps) if not _is_settled(records, step)]
    if not missing:
        return None
    after = steps[missing[-1] + 1 :]
    return after[0].time_s if after else max(records.window.recovered_s, steps[-1].time_s)


def _is_settled(records: WindowRecords, rotation: Rotation) -> bool:
    """Whether all is as it is to be under the load: a greater one than the calm may need a standby for good."""
    return rotation.is_as_planned if records.load.name == CALM else rotation.is_whole


def _lengths(records: WindowRecords) -> Iterator[tuple[Rotation, float]]:
    """Each rotation of the window with the seconds for which it stood."""
    steps = list(rotations(records))
    ends_s = [*(step.time_s for step in steps[1:]), max(records.settled_s, steps[-1].time_s)]
    yield from ((step, end_s - step.time_s) for step, end_s in zip(steps, ends_s, strict=True))
