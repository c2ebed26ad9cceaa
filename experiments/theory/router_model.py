"""The router's rules of choosing, promotion, ejection and step-back, for the simulation. Pure: `now` is an argument."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

MAX_ERRORS = 3
"""So many failed answers in a row take a predictor out, unless it is the last one in rotation."""

SUSPECTS_WEIGHT = 1_000_000
"""More than any load: one that answers nothing is chosen where no other has a free slot."""

FITTING_SHARE = 0.75
"""A standby promoted for a failure steps back only when the load fills at most this share of the actives."""


class Role(StrEnum):
    """What a predictor is by plan."""

    ACTIVE = "active"
    STANDBY = "standby"
    COLD = "cold"


@dataclass(eq=False, slots=True)
class Predictor:
    """A predictor as the router sees it."""

    name: str
    capacity: int
    role: Role
    chosen: int = 0
    """When it was last chosen, as a serial number: ties go to the smallest."""
    load: int = 0
    pending: int = 0
    """Failed answers whose blame is not known yet: each weighs like a request in flight."""
    errors: int = 0
    """Failed answers in a row."""
    suspect_since_s: float | None = None
    """Since when it has answered nothing, though others have: it is chosen where no other has a free slot."""
    up: bool = True
    drained: bool = False
    promoted_for: str = ""
    """"failure" or "saturation", of a standby in rotation."""
    changed_at_s: float = -inf
    returned_at_s: float = -inf
    not_before_s: float = -inf

    @property
    def is_active(self) -> bool:
        """Whether it is in rotation by plan."""
        return self.role is Role.ACTIVE

    @property
    def available(self) -> bool:
        """Whether it could serve: healthy and not drained."""
        return self.up and not self.drained


@dataclass(eq=False)
class RouterModel:
    """The router's state; its methods are the router's decisions, times in seconds."""

    predictors: Sequence[Predictor]
    hold_down_s: float
    deadline_s: float = 10.0
    """The longest that the router lets a client wait."""
    rotation: list[Predictor] = field(default_factory=list)
    """Those that get requests."""
    saturated_at_s: float | None = None
    """When a request was last refused for want of a slot, while that has a cold standby wanted."""
    _chosen: int = 0
    _total_load: int = 0
    _low_load_since_s: float = -inf
    _all_back_since_s: float = -inf

    def __post_init__(self) -> None:
        """Starts as planned: the actives in rotation, a cold standby not running."""
        self._actives = [each for each in self.predictors if each.is_active]
        self._standbys = [each for each in self.predictors if each.role is Role.STANDBY]
        self._standbys += [each for each in self.predictors if each.role is Role.COLD]
        self._actives_capacity = sum(each.capacity for each in self._actives)
        self.rotation.extend(self._actives)
        for each in self._standbys:
            each.up = each.role is not Role.COLD

    @property
    def missing(self) -> int:
        """How many actives are out of rotation."""
        return sum(not each.available for each in self._actives)

    @property
    def promoted(self) -> list[Predictor]:
        """The standbys in rotation."""
        return [each for each in self.rotation if not each.is_active]

    @property
    def cold_wanted(self) -> int:
        """How many cold standbys are to be started: one for each active that none replaces, one where all is full."""
        return max(self.missing - len(self.promoted), int(self.saturated_at_s is not None))

    @property
    def whole(self) -> bool:
        """Whether every active serves and nothing is down or being started, whoever serves beside."""
        warm_are_up = all(each.available or each.role is Role.COLD for each in self._standbys)
        return not self.missing and warm_are_up and not self.cold_wanted

    @property
    def as_planned(self) -> bool:
        """Whether the actives, all of them and no other, serve, warm standbys wait and cold ones do not run."""
        standbys_wait = all(each.available == (each.role is Role.STANDBY) for each in self._standbys)
        return not self.missing and not self.promoted and standbys_wait

    def choose(self, now: float, tried: Collection[Predictor] = ()) -> Predictor | None:
        """Reserves a slot at the least loaded predictor not in `tried`, a standby where none is free; None: refused."""
        chosen = self._least_loaded(tried)
        if chosen is None or chosen.suspect_since_s is not None:
            standby = self._standby_for_load(now, tried)
            if standby is not None:
                self._promote(standby, now, "saturation")
            chosen = standby or chosen
        if chosen is None:
            self._note_saturation(now)
            return None
        self._chosen += 1
        chosen.chosen = self._chosen
        chosen.load += 1
        self._total_load += 1
        if self._total_load * 2 > self._actives_capacity:
            self._low_load_since_s = inf
        return chosen

    def release(self, predictor: Predictor, now: float) -> None:
        """Gives a slot back."""
        predictor.load -= 1
        self._total_load -= 1
        self._note_load(now)

    def has_free_slot(self, now: float, tried: Collection[Predictor]) -> bool:
        """Whether `choose` would find a slot."""
        return self._least_loaded(tried) is not None or self._standby_for_load(now, tried) is not None

    def answer_failed(self, predictor: Predictor, now: float) -> None:
        """Counts a failed answer against it; too many in a row take it out for the hold-down at least."""
        predictor.errors += 1
        if predictor.errors >= MAX_ERRORS:
            self._eject_for_answers(predictor, now)

    def answered(self, predictor: Predictor) -> None:
        """Notes a good answer, which ends all doubts."""
        predictor.errors, predictor.suspect_since_s = 0, None

    def suspect(self, predictor: Predictor, since_s: float, now: float) -> None:
        """Has a predictor get nothing that another could take, for it answers nothing; after the deadline it is out."""
        if predictor.suspect_since_s is None:
            predictor.suspect_since_s = since_s
        if now - predictor.suspect_since_s >= self.deadline_s:
            self._eject_for_answers(predictor, now)

    def eject(self, predictor: Predictor, now: float) -> None:
        """Takes it out as not up, and has a standby replace it."""
        if not predictor.up:
            return
        predictor.up = False
        self.answered(predictor)  # nothing stands against it when it returns
        has_ended = predictor.role is Role.COLD and not predictor.promoted_for  # and may be started again at once
        predictor.not_before_s = -inf if has_ended else predictor.returned_at_s + self.hold_down_s
        self._leave(predictor, now)

    def readmit(self, predictor: Predictor, now: float) -> None:
        """Brings a healthy predictor back, later where it failed soon after its last return and others serve."""
        if predictor.up or (now < predictor.not_before_s and self.rotation):
            return
        predictor.up = True
        predictor.returned_at_s = now
        if not predictor.drained:
            self._rejoin(predictor, now)

    def drain(self, predictor: Predictor, now: float) -> None:
        """Gives it nothing new, as an operator orders."""
        predictor.drained = True
        self.answered(predictor)
        self._leave(predictor, now)

    def ready(self, predictor: Predictor, now: float) -> None:
        """Puts a drained predictor back, at once if it is healthy."""
        predictor.drained = False
        if predictor.up:
            self._rejoin(predictor, now)

    def tick(self, now: float) -> None:
        """Lets standbys step back once their reason has been over for the hold-down."""
        calm = now - self._low_load_since_s >= self.hold_down_s
        fits = self._total_load <= FITTING_SHARE * self._actives_capacity
        back = fits and now - self._all_back_since_s >= self.hold_down_s
        if calm and self.saturated_at_s is not None and now - self.saturated_at_s >= self.hold_down_s:
            self.saturated_at_s = None
        for each in self.promoted:
            over = calm if each.promoted_for == "saturation" else back
            if over and now - each.changed_at_s >= self.hold_down_s:
                self._leave(each, now)
                each.changed_at_s = now

    def _eject_for_answers(self, predictor: Predictor, now: float) -> None:
        """Takes it out for the hold-down at least, unless it is the last one in rotation."""
        if predictor in self.rotation and len(self.rotation) > 1:
            self.eject(predictor, now)
            predictor.not_before_s = now + self.hold_down_s

    def _least_loaded(self, tried: Collection[Predictor]) -> Predictor | None:
        least, found = (inf, 0), None
        for each in self.rotation:
            if each.load < each.capacity and each not in tried:
                doubt = 0 if each.suspect_since_s is None else SUSPECTS_WEIGHT
                weight = (each.load + each.pending + doubt, each.chosen)
                if weight < least:
                    least, found = weight, each
        return found

    def _note_saturation(self, now: float) -> None:
        """Has a cold standby wanted where all in rotation are full, not only those that a request has not tried."""
        startable = any(each.role is Role.COLD and not (each.up or each.drained) for each in self._standbys)
        if startable and self.rotation and self._least_loaded(()) is None and not self._waiting():
            self.saturated_at_s = now

    def _waiting(self) -> list[Predictor]:
        return [each for each in self._standbys if each.available and not each.promoted_for]

    def _standby_for_load(self, now: float, tried: Collection[Predictor]) -> Predictor | None:
        for each in self._waiting():
            free = each.load < each.capacity and each not in tried
            if free and now - each.changed_at_s >= self.hold_down_s:
                return each
        return None

    def _promote(self, predictor: Predictor, now: float, promoted_for: str) -> None:
        predictor.promoted_for = promoted_for
        predictor.changed_at_s = now
        self.saturated_at_s = None
        self.rotation.append(predictor)

    def _replace_missing(self, now: float) -> None:
        """Has as many standbys in rotation as actives are missing, warm ones before cold ones."""
        missing = self.missing
        for each in self._waiting()[: max(0, missing - len(self.promoted))]:
            self._promote(each, now, "failure")
        for each in self.promoted[:missing]:
            each.promoted_for = "failure"
        if self.saturated_at_s is not None and (waiting := self._waiting()):
            self.saturated_at_s = None
            if now - waiting[0].changed_at_s >= self.hold_down_s:
                self._promote(waiting[0], now, "saturation")

    def _rejoin(self, predictor: Predictor, now: float) -> None:
        if predictor.is_active:
            self.rotation.append(predictor)
            self._count_actives(now)
        self._replace_missing(now)

    def _leave(self, predictor: Predictor, now: float) -> None:
        if predictor in self.rotation:
            self.rotation.remove(predictor)
            predictor.promoted_for = ""
            if predictor.is_active:
                self._count_actives(now)
        self._replace_missing(now)

    def _count_actives(self, now: float) -> None:
        self._actives_capacity = sum(each.capacity for each in self.rotation if each.is_active)
        self._all_back_since_s = inf if self.missing else now
        self._note_load(now)

    def _note_load(self, now: float) -> None:
        if self._total_load * 2 > self._actives_capacity:
            self._low_load_since_s = inf
        elif self._low_load_since_s == inf:
            self._low_load_since_s = now
