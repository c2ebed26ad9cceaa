"""Random topologies, and a model of the balancer that knows only the rules."""

from collections.abc import Collection
from math import inf
from pathlib import Path

import hypothesis.strategies as st

from routing.refusals import DownError, RefusedError, SaturatedError
from routing.rotation import Slot
from routing.topology import Entry, Role, Topology
from tests.unit.routing.balancers import MAX_ERRORS

HOLD_DOWN_S = 5.0
Plan = list[tuple[int, str]]
"""Capacity and kind of each predictor: active, warm or cold."""

KINDS = st.sampled_from(["active", "active", "warm", "cold"])
PLANS = st.lists(st.tuples(st.integers(1, 4), KINDS), min_size=1, max_size=6).filter(
    lambda plan: any(kind == "active" for _, kind in plan)
)


def topology_of(plan: Plan) -> Topology:
    """A topology of these predictors: p0, p1, ..."""
    entries = tuple(
        Entry(
            f"p{number}", "127.0.0.1", 9000 + number, capacity,
            Role.ACTIVE if kind == "active" else Role.STANDBY, cold=kind == "cold",
        )
        for number, (capacity, kind) in enumerate(plan)
    )  # fmt: skip
    return Topology("random", Path("random.json"), entries, {}, "{}")


class BusyModel:
    """What a predictor has said of being full since it was seen to be well."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.limit: float = inf

    def weight(self, now: float, capacity: int) -> int:
        """Busy answers count while each came within a second of the one before, and the last within one of now."""
        count, until = 0, now
        for time_s in reversed(self.times_s):
            if until - time_s >= 1.0:
                break
            count, until = count + 1, time_s
        return min(count, capacity)


class Model:
    """What a predictor's state must be by the rules alone; who is promoted is read off the balancer's events."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = {entry.name: entry for entry in entries}
        self.held: dict[str, list[Slot]] = {name: [] for name in self.entries}
        self.last_chosen = {name: number - len(entries) for number, name in enumerate(self.entries)}
        self.down = {name for name, entry in self.entries.items() if entry.cold}
        self.unwell: set[str] = set()
        self.wanted: set[str] = set()
        self.saturated_s: float | None = None
        self.drained: set[str] = set()
        self.promoted: list[str] = []
        self.errors = dict.fromkeys(self.entries, 0)
        self.role_changed_s = dict.fromkeys(self.entries, -inf)
        self.returned_s = dict.fromkeys(self.entries, -inf)
        self.waits_until_s = dict.fromkeys(self.entries, -inf)
        self.missing_until_s: list[tuple[float, int]] = []
        self.busy_until_s = -inf
        self.busy = {name: BusyModel() for name in self.entries}
        self.answered_s = dict.fromkeys(self.entries, -inf)
        self.members = self.rotation()

    def available(self, name: str) -> bool:
        """Healthy and not drained."""
        return name not in self.down and name not in self.drained

    def rotation(self) -> set[str]:
        """Who takes requests: the available actives and the promoted standbys."""
        return {n for n, entry in self.entries.items() if not entry.role.is_backup and self.available(n)} | set(
            self.promoted
        )

    def load(self, name: str) -> int:
        """Requests in flight there."""
        return len(self.held[name])

    def has_room(self, name: str) -> bool:
        """A slot is free."""
        return self.load(name) < self.entries[name].capacity

    def weight(self, name: str, now: float) -> int:
        """What it is chosen by: its load, and its busy answers of the last moment."""
        return self.load(name) + self.busy[name].weight(now, self.entries[name].capacity)

    def answer(self, name: str, now: float) -> None:
        """A good answer: it is not busy, and takes at least what it holds and one more."""
        self.answered_s[name], self.busy[name].times_s = now, []
        if self.load(name) >= self.busy[name].limit:
            self.busy[name].limit = self.load(name) + 1

    def say_busy(self, name: str, now: float) -> bool:
        """It says that it is busy; returns whether that is all that it says for the hold-down, though others answer."""
        busy = self.busy[name]
        busy.limit = self.load(name)
        busy.times_s.append(now)
        since_s, rotation = busy.times_s[0], self.rotation()
        holds = any(slot.since_s <= since_s for slot in self.held[name])
        others_answer = any(self.answered_s[other] > since_s for other in rotation - {name})
        lasts = len(busy.times_s) >= MAX_ERRORS and now - since_s >= HOLD_DOWN_S
        return lasts and not holds and others_answer and name in rotation and len(rotation) > 1

    def follow_rotation(self) -> None:
        """Who joins begins anew."""
        for name in self.rotation() - self.members:
            self.busy[name] = BusyModel()
        self.members = self.rotation()

    def missing(self) -> int:
        """How many actives are not available."""
        return sum(not entry.role.is_backup and not self.available(name) for name, entry in self.entries.items())

    def waiting(self) -> list[str]:
        """The standbys that could be promoted, in their order."""
        return [name for name in self.standbys() if self.available(name) and name not in self.promoted]

    def standbys(self) -> list[str]:
        """Warm before cold, then in file order."""
        backups = [entry for entry in self.entries.values() if entry.role.is_backup]
        return [entry.name for cold in (False, True) for entry in backups if entry.cold is cold]

    def startable(self) -> set[str]:
        """The cold standbys that do not run, and that nobody keeps out."""
        cold = {name for name, entry in self.entries.items() if entry.cold}
        return (cold & self.down) - self.unwell - self.drained

    def unmet(self) -> int:
        """How many cold standbys should be wanted, if there are so many."""
        return max(self.missing() - len(self.promoted), int(self.saturated_s is not None))

    def refuse(self, now: float) -> None:
        """A request finds no slot: where all in rotation are full and no standby waits, that is a need."""
        rotation = self.rotation()
        free = any(self.has_room(name) and self.load(name) == self.weight(name, now) for name in rotation)
        full = rotation and not free
        if full and self.startable() and not self.waiting():
            self.saturated_s = now

    def expected(self, now: float, tried: Collection[str]) -> str | type[RefusedError]:
        """Who must get the next request, or how it must be refused."""
        with_room = [name for name in self.rotation() if self.has_room(name) and name not in tried]
        if with_room:
            return min(with_room, key=lambda name: (self.weight(name, now), self.last_chosen[name]))
        for name in self.waiting():
            if self.has_room(name) and name not in tried and now - self.role_changed_s[name] >= HOLD_DOWN_S:
                return name
        some_up = any(self.available(name) and name not in tried for name in self.entries)
        return SaturatedError if some_up else DownError

    def note(self, now: float) -> None:
        """Remembers until when actives were missing and the load was high."""
        if self.missing():
            self.missing_until_s.append((now, self.missing()))
        actives = [n for n, entry in self.entries.items() if not entry.role.is_backup and self.available(n)]
        capacity = sum(min(self.entries[name].capacity, self.busy[name].limit) for name in actives)
        if 2 * sum(len(slots) for slots in self.held.values()) > capacity:
            self.busy_until_s = now

    def most_missing_lately(self, now: float) -> int:
        """The most actives that were missing at once within the last hold-down."""
        return max([m for until, m in self.missing_until_s if now - until < HOLD_DOWN_S], default=0)

    def leave(self, name: str) -> None:
        """A predictor that is down or drained stands in for nobody."""
        if name in self.promoted:
            self.promoted.remove(name)

    def fail(self, name: str, now: float, waits_until_s: float, runs: bool = True) -> None:
        """The predictor is down from now on."""
        self.down.add(name)
        if runs:
            self.unwell.add(name)
        self.errors[name] = 0
        self.waits_until_s[name] = waits_until_s
        self.leave(name)
