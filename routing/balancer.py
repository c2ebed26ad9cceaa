"""Who gets the next request, and who is in rotation. Pure decisions: no I/O, no waiting, `now` is an argument.

Times are seconds of a monotonic clock. Nothing here yields, so under gevent every method is atomic.
"""

import heapq
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from routing.topology import Entry, Topology

EVENTS_KEPT = 1000
FITTING_SHARE = 0.75
"""A stand-in steps back only when the load fills at most this share of the actives: it is away for a hold-down."""

SPARE_MARKS = 64
FOR_ROOM = "every predictor in rotation is at capacity"


class RefusedError(Exception):
    """The request cannot be placed now; `reason` is the word that the client is told."""

    reason = ""


class SaturatedError(RefusedError):
    """Every predictor in rotation is at capacity and no standby is left."""

    reason = "saturated"


class DownError(RefusedError):
    """No predictor is up."""

    reason = "down"


@dataclass(frozen=True)
class Rules:
    """The numbers that decide; the defaults are the rig's definitions."""

    max_errors: int = 3
    """Failed answers in a row that eject."""
    hold_down_s: float = 5.0
    """How long all must be well before a standby steps back, and the least time between two role changes."""


class Event(NamedTuple):
    """One change of a predictor; `time_s` is on the monotonic clock."""

    time_s: float
    event: str
    predictor: str
    reason: str


@dataclass(eq=False)
class Predictor:
    """One predictor's live state."""

    entry: Entry
    turn: int
    """When it was last chosen, as a serial number: ties go to the smallest."""
    load: int = 0
    peak_load: int = 0
    served: int = 0
    failed: int = 0
    up: bool = True
    drained: bool = False
    in_rotation: bool = False
    promoted_for: str | None = None
    errors: int = 0
    doubts: int = 0
    """Failed answers that nobody has judged yet; each weighs like a request in flight."""
    changed_at_s: float = -inf
    returned_at_s: float = -inf
    not_before_s: float = -inf

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.entry.name

    @property
    def available(self) -> bool:
        """Whether it could serve: healthy and not drained."""
        return self.up and not self.drained

    @property
    def state(self) -> str:
        """One word for people: serving, standby, down, draining or drained."""
        if self.drained:
            return "draining" if self.load else "drained"
        if not self.up:
            return "down"
        return "serving" if self.in_rotation else "standby"


@dataclass(eq=False)
class Slot:
    """One reserved place at a predictor: one request in flight. Released exactly once."""

    predictor: Predictor
    held: bool = field(default=True)


class _Mark(NamedTuple):
    """A predictor as it stood when its weight last changed; out of date once its weight or turn is another."""

    weight: int
    turn: int
    predictor: Predictor


class _Rotation:
    """Who takes requests: a heap of marks, so that the least loaded is found in O(log n).

    Stale marks are dropped when met, and all are made anew when they pile up.
    """

    def __init__(self) -> None:
        self._members: set[Predictor] = set()
        self._marks: list[_Mark] = []
        self._turn = 0

    def __len__(self) -> int:
        return len(self._members)

    def add(self, predictor: Predictor) -> None:
        """Let the predictor take requests."""
        self._members.add(predictor)
        self._mark(predictor)

    def remove(self, predictor: Predictor) -> None:
        """Give the predictor nothing new; what it has in flight goes on counting."""
        self._members.discard(predictor)

    def take(self, predictor: Predictor) -> None:
        """Count one more request in flight, and put the predictor last among those of equal load."""
        self._turn += 1
        predictor.turn = self._turn
        predictor.load += 1
        predictor.peak_load = max(predictor.peak_load, predictor.load)
        self._mark(predictor)

    def give_back(self, predictor: Predictor) -> None:
        """Count one request in flight less, in or out of rotation."""
        predictor.load -= 1
        self._mark(predictor)

    def doubt(self, predictor: Predictor, more: int) -> None:
        """Count failed answers whose blame is not known yet, or no longer."""
        predictor.doubts += more
        self._mark(predictor)

    def least_loaded(self, tried: Collection[str] = ()) -> Predictor | None:
        """Return the member with room and the lowest load, not in `tried`; the longest unchosen among equals."""
        passed_over = []
        found = None
        while self._marks:
            mark = self._marks[0]
            if self._is_current(mark):
                if mark.predictor.name not in tried:
                    found = mark.predictor
                    break
                passed_over.append(mark)
            heapq.heappop(self._marks)
        for mark in passed_over:
            heapq.heappush(self._marks, mark)
        return found

    def _is_current(self, mark: _Mark) -> bool:
        predictor = mark.predictor
        same = mark.weight == predictor.load + predictor.doubts and mark.turn == predictor.turn
        return same and predictor in self._members and predictor.load < predictor.entry.capacity

    def _mark(self, predictor: Predictor) -> None:
        if predictor not in self._members or predictor.load >= predictor.entry.capacity:
            return
        heapq.heappush(self._marks, _Mark(predictor.load + predictor.doubts, predictor.turn, predictor))
        if len(self._marks) > 4 * len(self._members) + SPARE_MARKS:
            self._marks = [_Mark(p.load + p.doubts, p.turn, p) for p in self._members if p.load < p.entry.capacity]
            heapq.heapify(self._marks)


class Balancer:
    """The state of one topology: two lists matter, who is in rotation and which standbys are promoted."""

    def __init__(self, topology: Topology, now: float, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._fresh: list[Event] = []
        count = len(topology.entries)
        self.predictors = {
            entry.name: Predictor(entry, turn=number - count) for number, entry in enumerate(topology.entries)
        }
        self._rotation = _Rotation()
        self._promoted: list[Predictor] = []
        self._total_load = 0
        self._actives_capacity = 0
        self._missing = sum(entry.active for entry in topology.entries)
        self._all_back_since_s: float | None = None
        self._quiet_since_s: float | None = now
        for predictor in self._actives():
            self._join(predictor, now)
        self._all_back_since_s = -inf

    def choose(self, now: float, tried: Collection[str] = ()) -> Slot:
        """Reserve a slot at the least loaded predictor in rotation that is not in `tried`; ties go round robin.

        When none has room, the next standby is promoted and takes the request.
        Raises SaturatedError or DownError.
        """
        predictor = self._rotation.least_loaded(tried) or self._promote_for_room(now, tried)
        if predictor is None:
            raise self._refusal(tried)
        return self.hold(predictor.name, now)

    def hold(self, name: str, now: float) -> Slot:
        """Reserve a slot at this predictor, whatever its load: for a request that is already on its way to it."""
        predictor = self.predictors[name]
        self._rotation.take(predictor)
        self._total_load += 1
        self._note_load(now)
        return Slot(predictor)

    def release(self, slot: Slot, now: float) -> None:
        """Give the slot back; a second time is a defect and raises RuntimeError."""
        if not slot.held:
            raise RuntimeError(f"a slot of {slot.predictor.name} was released twice")
        slot.held = False
        self._rotation.give_back(slot.predictor)
        self._total_load -= 1
        self._note_load(now)

    def has_room(self, now: float, tried: Collection[str] = ()) -> bool:
        """Whether `choose` would find a place now."""
        return self._rotation.least_loaded(tried) is not None or self._standby_for_room(now, tried) is not None

    def stand_in(self, name: str, now: float) -> None:
        """Note that a standby serves for want of room: another program, which chooses by these rules, has chosen it."""
        predictor = self.predictors[name]
        if predictor.available and not predictor.in_rotation and not predictor.entry.active:
            self._promote(predictor, now, "saturation", FOR_ROOM)

    def may_stand_in(self, name: str, now: float) -> bool:
        """Whether a standby could be promoted for want of room: available, and not just back from the rotation."""
        predictor = self.predictors[name]
        return predictor.available and self._rested(predictor, now)

    def _refusal(self, tried: Collection[str]) -> RefusedError:
        if any(p.available for p in self.predictors.values() if p.name not in tried):
            return SaturatedError(FOR_ROOM)
        drained = sum(p.drained for p in self.predictors.values())
        if drained:
            whole = drained == len(self.predictors)
            return DownError("every predictor is drained" if whole else "every predictor is down or drained")
        return DownError("no predictor is up")

    def _note_load(self, now: float) -> None:
        if self._total_load * 2 > self._actives_capacity:
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = now

    def doubt(self, name: str, more: int = 1) -> None:
        """Note a failed answer whose blame is not known yet, or take it back: who fails fast must not attract more."""
        self._rotation.doubt(self.predictors[name], more)

    def answered(self, name: str) -> None:
        """Count an answer of the predictor that was not a failure; failures are no longer in a row."""
        predictor = self.predictors[name]
        predictor.served += 1
        predictor.errors = 0

    def answer_failed(self, name: str, now: float, reason: str, blame: bool = True) -> None:
        """Count a failed answer; `blame` is False when the request, not the predictor, was at fault.

        Several in a row eject the predictor, unless it is the last one in rotation.
        """
        predictor = self.predictors[name]
        predictor.failed += 1
        if not blame:
            return
        predictor.errors += 1
        if predictor.errors >= self.rules.max_errors:
            self.eject_for_answers(name, now, f"{predictor.errors} failed answers in a row, last: {reason}")

    def eject_for_answers(self, name: str, now: float, reason: str) -> None:
        """Take the predictor out for the hold-down at least, unless it is the last one in rotation."""
        predictor = self.predictors[name]
        if predictor.in_rotation and len(self._rotation) > 1:
            self._go_down(predictor, now, reason)
            predictor.not_before_s = now + self.rules.hold_down_s  # probes cannot tell that it is well again

    def eject(self, name: str, now: float, reason: str) -> bool:
        """Take the predictor out, as not up; the return says whether it was up until now."""
        return self._go_down(self.predictors[name], now, reason)

    def readmit(self, name: str, now: float) -> bool:
        """Bring a healthy predictor back; the return says whether it is up now.

        One that came back less than a hold-down before it failed waits for the rest of it, unless nobody serves.
        """
        predictor = self.predictors[name]
        if not predictor.up and (now >= predictor.not_before_s or not len(self._rotation)):
            self._come_back(predictor, now)
        return predictor.up

    def drain(self, name: str, now: float) -> None:
        """Give the predictor nothing new until `ready`; a standby takes its place. KeyError if unknown."""
        predictor = self.predictors[name]
        if predictor.drained:
            return
        predictor.drained = True
        predictor.errors = 0
        self._tell(now, "drained", predictor, "operator")
        self._leave(predictor, now)
        self._fill_needs(now, f"{name} is drained")

    def ready(self, name: str, now: float) -> None:
        """Put a drained predictor back: at once if it is healthy, else when it is. KeyError if unknown."""
        predictor = self.predictors[name]
        if not predictor.drained:
            return
        predictor.drained = False
        self._tell(now, "ready", predictor, "operator")
        if predictor.up:
            self._return(predictor, now)

    def tick(self, now: float) -> None:
        """Let standbys step back once their reason has been over for the hold-down."""
        if not self._promoted:
            return
        calm = self._elapsed(self._quiet_since_s, now)
        fits = self._total_load <= FITTING_SHARE * self._actives_capacity
        back = fits and self._elapsed(self._all_back_since_s, now)
        for predictor in reversed(self._promoted.copy()):
            if predictor.promoted_for == "saturation" and calm:
                self._demote(predictor, now, "the saturation is over")
            elif predictor.promoted_for == "failure" and back:
                self._demote(predictor, now, "all actives are back")

    def take_fresh_events(self) -> list[Event]:
        """Return the events since the last call, oldest first."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _actives(self) -> Iterator[Predictor]:
        return (p for p in self.predictors.values() if p.entry.active)

    def _standby(self, tried: Collection[str] = ()) -> Predictor | None:
        """Return the first standby, in file order, that could be promoted to replace a failure."""
        return next(self._standbys(tried), None)

    def _standbys(self, tried: Collection[str]) -> Iterator[Predictor]:
        for predictor in self.predictors.values():
            waits = predictor.available and not predictor.in_rotation and not predictor.entry.active
            if waits and predictor.name not in tried:
                yield predictor

    def _standby_for_room(self, now: float, tried: Collection[str]) -> Predictor | None:
        for predictor in self._standbys(tried):
            if self._rested(predictor, now) and predictor.load < predictor.entry.capacity:
                return predictor
        return None

    def _rested(self, predictor: Predictor, now: float) -> bool:
        return now - predictor.changed_at_s >= self.rules.hold_down_s

    def _promote_for_room(self, now: float, tried: Collection[str]) -> Predictor | None:
        standby = self._standby_for_room(now, tried)
        if standby is not None:
            why = "no other predictor can take a failed request" if tried else FOR_ROOM
            self._promote(standby, now, "saturation", why)
        return standby

    def _promote(self, predictor: Predictor, now: float, promoted_for: str, reason: str) -> None:
        predictor.promoted_for = promoted_for
        predictor.changed_at_s = now
        self._promoted.append(predictor)
        self._join(predictor, now)
        self._tell(now, "promoted", predictor, reason)

    def _demote(self, predictor: Predictor, now: float, reason: str) -> None:
        if now - predictor.changed_at_s < self.rules.hold_down_s:
            return
        self._leave(predictor, now)
        predictor.changed_at_s = now
        self._tell(now, "demoted", predictor, reason)

    def _fill_needs(self, now: float, reason: str) -> None:
        """Have as many standbys promoted as actives are missing: one per need, in file order."""
        while len(self._promoted) < self._missing and (standby := self._standby()):
            self._promote(standby, now, "failure", reason)
        for predictor in self._promoted[: self._missing]:
            predictor.promoted_for = "failure"

    def _who_is_missing(self) -> str:
        missing = (p for p in self._actives() if not p.in_rotation)
        return ", ".join(f"{p.name} is {'drained' if p.drained else 'down'}" for p in missing)

    def _go_down(self, predictor: Predictor, now: float, reason: str) -> bool:
        if not predictor.up:
            return False
        predictor.up = False
        predictor.errors = 0
        predictor.not_before_s = predictor.returned_at_s + self.rules.hold_down_s
        self._tell(now, "ejected" if predictor.in_rotation else "failed", predictor, reason)
        self._leave(predictor, now)
        self._fill_needs(now, f"{predictor.name} is down")
        return True

    def _come_back(self, predictor: Predictor, now: float) -> None:
        predictor.up = True
        predictor.returned_at_s = now
        rejoins = predictor.entry.active and not predictor.drained
        self._tell(now, "readmitted" if rejoins else "recovered", predictor, "health checks pass")
        if not predictor.drained:
            self._return(predictor, now)

    def _return(self, predictor: Predictor, now: float) -> None:
        if predictor.entry.active:
            self._join(predictor, now)
        self._fill_needs(now, self._who_is_missing())

    def _join(self, predictor: Predictor, now: float) -> None:
        predictor.in_rotation = True
        self._rotation.add(predictor)
        if predictor.entry.active:
            self._count_active(+1, predictor, now)

    def _leave(self, predictor: Predictor, now: float) -> None:
        if not predictor.in_rotation:
            return
        predictor.in_rotation = False
        self._rotation.remove(predictor)
        if predictor.entry.active:
            self._count_active(-1, predictor, now)
        else:
            self._promoted.remove(predictor)
            predictor.promoted_for = None

    def _count_active(self, sign: int, predictor: Predictor, now: float) -> None:
        self._missing -= sign
        self._actives_capacity += sign * predictor.entry.capacity
        self._all_back_since_s = None if self._missing else now
        self._note_load(now)

    def _elapsed(self, since_s: float | None, now: float) -> bool:
        return since_s is not None and now - since_s >= self.rules.hold_down_s

    def _tell(self, now: float, event: str, predictor: Predictor, reason: str) -> None:
        told = Event(now, event, predictor.name, reason)
        self.events.append(told)
        self._fresh.append(told)
