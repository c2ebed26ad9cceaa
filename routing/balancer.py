"""Who gets the next request, and who is in rotation. Pure decisions: no I/O, no waiting, `now` is an argument.

Times are seconds of a monotonic clock. Nothing here yields, so under gevent every method is atomic.
"""

from collections.abc import Collection, Iterator
from math import inf

from routing.doubts import Doubts
from routing.events import Events
from routing.refusals import ALL_AT_CAPACITY, ALL_BUSY, RefusedError, refusal
from routing.rotation import Found, Predictor, Rotation, Slot
from routing.topology import Topology

FITTING_SHARE = 0.75
"""A standby steps back only when the load fills at most this share of the actives: it is away for a hold-down."""

SATURATION_OVER = "the saturation is over"


class Balancer:
    """The state of one topology: two lists matter, who is in rotation and which standbys are promoted."""

    def __init__(
        self,
        topology: Topology,
        now: float,
        hold_down_s: float = 5.0,
        max_errors: int = 3,
        deadline_s: float = 10.0,
    ) -> None:
        """`max_errors` failed answers in a row eject; so does no good one for `deadline_s` where others give some.

        All are healthy for `hold_down_s` before a standby steps back; it is also the least time between role changes.
        """
        self.max_errors = max_errors
        self._hold_down_s = hold_down_s
        self._deadline_s = deadline_s
        self._events = Events()
        self.events, self.pop_new_events = self._events.latest, self._events.pop_new
        count = len(topology.entries)
        self.predictors = {
            entry.name: Predictor(entry, chosen=number - count, up=not entry.cold)
            for number, entry in enumerate(topology.entries)
        }
        self._standbys = [self.predictors[entry.name] for entry in topology.backups]
        self._rotation = Rotation()
        self.doubts = Doubts(self._rotation)
        self._promoted: list[Predictor] = []
        self._total_load = 0
        self._actives_room = 0
        self._missing = sum(not entry.role.is_backup for entry in topology.entries)
        self._low_load_since_s: float | None = now
        self._saturated_at_s: float | None = None  # the latest refusal that has a cold standby wanted
        for predictor in self._actives():
            self._join(predictor, now)
        self._all_back_since_s: float | None = -inf

    def choose(self, now: float, tried: Collection[str] = ()) -> Slot:
        """Reserves a slot at the least loaded predictor in rotation that is not in `tried`; ties go round robin.

        Where none has a free slot, the next standby is promoted and chosen. Raises SaturatedError or DownError.
        """
        self.doubts.let_weights_go(now)
        predictor = self._rotation.least_loaded(tried)
        if predictor is None or predictor.suspect_since_s is not None:
            predictor = self._promote_for_load(now, tried) or predictor
        if predictor is None:
            if self.doubts.all_full(now):
                self.note_saturation(now)
            raise self._refusal(tried)
        return self._reserve(predictor, now)

    def reserve_at(self, name: str, now: float) -> Slot:
        """Reserves a slot at this predictor, whatever its load: for a request that is already on its way to it."""
        return self._reserve(self.predictors[name], now)

    def _reserve(self, predictor: Predictor, now: float) -> Slot:
        self._rotation.reserve(predictor)
        self._total_load += 1
        self._note_load(now)
        slot = Slot(predictor, now)
        predictor.slots[slot] = None
        return slot

    def release(self, slot: Slot, now: float) -> None:
        """Gives the slot back; a second time is a defect and raises RuntimeError."""
        if not slot.held:
            raise RuntimeError(f"a slot of {slot.predictor.name} was released twice")
        slot.held = False
        del slot.predictor.slots[slot]
        self._rotation.release(slot.predictor)
        self._total_load -= 1
        self._note_load(now)

    def has_free_slot(self, now: float, tried: Collection[str] = ()) -> bool:
        """Whether `choose` would find a slot now."""
        return self._rotation.least_loaded(tried) is not None or self._standby_for_load(now, tried) is not None

    def note_promotion(self, name: str, now: float) -> None:
        """Promotes a standby to which another program, by these rules, gave a request for want of a free slot."""
        predictor = self.predictors[name]
        if predictor.waits:
            self._promote(predictor, now, "saturation", ALL_AT_CAPACITY)

    def rests(self, name: str, now: float) -> bool:
        """Whether it has said busy a moment ago, and others in rotation can be asked."""
        return not self.doubts.all_full(now) and self.predictors[name].busy.weight > 0

    def note_busy_everywhere(self, now: float) -> None:
        """Promotes a standby, or has a cold one wanted, where all in rotation said busy or are at capacity."""
        if self.doubts.all_full(now) and not self._promote_for_load(now, [p.name for p in self._rotation]):
            self.note_saturation(now)

    def note_saturation(self, now: float) -> None:
        """Has a cold standby wanted: a request was refused as all in rotation are at capacity."""
        startable = any(predictor.startable for predictor in self._standbys)
        if startable and len(self._rotation) and next(self._waiting(), None) is None:
            self._saturated_at_s = now
            self._update_wanted(now, ALL_AT_CAPACITY)

    def promotable(self, name: str, now: float) -> bool:
        """Whether a standby could be promoted for want of a free slot: available, and not just demoted."""
        predictor = self.predictors[name]
        return predictor.available and self._hold_down_over(predictor.changed_at_s, now)

    def _refusal(self, tried: Collection[str]) -> RefusedError:
        others = any(p.available for p in self.predictors.values() if p.name not in tried)
        return refusal(others, sum(p.drained for p in self.predictors.values()), len(self.predictors))

    def _note_load(self, now: float) -> None:
        if self._total_load * 2 > self._actives_room:
            self._low_load_since_s = None
        elif self._low_load_since_s is None:
            self._low_load_since_s = now

    def add_pending_failures(self, name: str, count: int) -> None:
        """Counts failed answers whose blame is not known yet, or no longer: who fails fast must not attract more."""
        self._rotation.add_pending_failures(self.predictors[name], count)

    def add_counts(self, name: str, served: int, failed: int, peak_load: int, now: float) -> None:
        """Adds what another program, which carries the requests, has counted at this predictor."""
        predictor = self.predictors[name]
        predictor.served += served
        predictor.failed += failed
        predictor.peak_load = max(predictor.peak_load, peak_load)
        if served > 0:
            self._note_good(predictor, now)

    def answered(self, name: str, now: float, took_s: float) -> None:
        """Counts an answer of the predictor that was not a failure; failures are no longer in a row."""
        predictor = self.predictors[name]
        predictor.served += 1
        predictor.errors = 0
        self._note_good(predictor, now, took_s)

    def _note_good(self, predictor: Predictor, now: float, took_s: float = 0.0) -> None:
        self.doubts.note_good(predictor, now, took_s)
        if predictor.busy_at is not None and predictor.load >= predictor.busy_at:  # it took one more than that
            self._note_room(predictor, predictor.load + 1, now)

    def busy(self, name: str, now: float) -> None:
        """Counts an answer that says busy: no failure, but who says nothing else for the hold-down is out."""
        predictor = self.predictors[name]
        self._note_room(predictor, predictor.load, now)
        self.doubts.note_busy(predictor, now)
        since_s = predictor.busy.since_s
        if self._hold_down_over(since_s, now) and self.doubts.only_busy(predictor, self.max_errors):
            self.eject_for_answers(name, now, f"nothing but busy answers for {now - since_s:.1f} s, others answer")

    def stalled(self, now: float) -> list[str]:
        """Returns who answers nothing although others do: their requests are to go elsewhere, where there is room.

        After the deadline such a predictor is out, unless it is the last one in rotation.
        """
        suspects = self.doubts.suspects(now)
        for name, since_s in suspects.items():
            if now - since_s >= self._deadline_s:
                self.eject_for_answers(name, now, f"no prediction answered for {now - since_s:.1f} s, others answer")
        return list(suspects)

    def answer_failed(self, name: str, now: float, reason: str, blame: bool = True) -> None:
        """Counts a failed answer; `blame` is False when the request, not the predictor, was at fault.

        Several in a row eject the predictor, unless it is the last one in rotation.
        """
        predictor = self.predictors[name]
        predictor.failed += 1
        if not blame:
            return
        predictor.errors += 1
        if predictor.errors >= self.max_errors:
            self.eject_for_answers(name, now, f"{predictor.errors} failed answers in a row, last: {reason}")

    def eject_for_answers(self, name: str, now: float, reason: str) -> None:
        """Takes the predictor out for the hold-down at least, unless it is the last one in rotation."""
        predictor = self.predictors[name]
        if predictor.in_rotation and len(self._rotation) > 1:
            self.eject(name, now, reason)
            predictor.not_before_s = now + self._hold_down_s  # probes cannot show that it is healthy again

    def eject(self, name: str, now: float, reason: str, found: Found = Found.SILENT) -> bool:
        """Takes the predictor out, as not up; returns whether it was up until now.

        `found` says what is known of its process. A cold standby that is not in rotation may end: that is no failure.
        """
        predictor = self.predictors[name]
        if not predictor.up:
            self._note_process(predictor, now, reason, found)
            return False
        predictor.up = False
        predictor.errors = 0
        predictor.loading, predictor.unwell = found is Found.LOADING, found in (Found.SILENT, Found.WRONG)
        ended = predictor.entry.cold and not predictor.in_rotation and not predictor.unwell
        predictor.not_before_s = -inf if ended else predictor.returned_at_s + self._hold_down_s
        event = "ejected" if predictor.in_rotation else "ended" if ended else "failed"
        self._events.record(now, event, predictor.name, reason)
        self._leave(predictor, now)
        self._replace_missing(now, f"{name} is down")
        return True

    def _note_process(self, predictor: Predictor, now: float, reason: str, found: Found) -> None:
        """Notes what a health check found of a predictor that is not up: a cold standby may have come or gone."""
        was_unwell = predictor.unwell
        predictor.loading = found is Found.LOADING or (predictor.loading and found is Found.SILENT)  # busy
        predictor.unwell = found is Found.WRONG or (was_unwell and found is Found.SILENT)
        if predictor.unwell != was_unwell and predictor.entry.cold:
            if predictor.unwell:
                self._events.record(now, "failed", predictor.name, reason)
            self._replace_missing(now, self._missing_text())

    def may_return(self, name: str, now: float) -> bool:
        """Whether a predictor that is not up would be readmitted now."""
        return now >= self.predictors[name].not_before_s or not len(self._rotation)

    def readmit(self, name: str, now: float) -> bool:
        """Brings a healthy predictor back; returns whether it is up now.

        One that came back less than a hold-down before it failed waits for the rest of it, unless nobody serves.
        """
        predictor = self.predictors[name]
        if not predictor.up and self.may_return(name, now):
            started = predictor.entry.cold and not predictor.unwell
            predictor.up, predictor.unwell = True, False
            predictor.returned_at_s = now
            rejoins = not predictor.entry.role.is_backup and not predictor.drained
            event = "readmitted" if rejoins else "started" if started else "recovered"
            self._events.record(now, event, predictor.name, "health checks pass")
            if not predictor.drained:
                self._rejoin(predictor, now)
        return predictor.up

    def drain(self, name: str, now: float) -> None:
        """Gives the predictor nothing new until `ready`; a standby takes its place. KeyError if unknown."""
        predictor = self.predictors[name]
        if predictor.drained:
            return
        predictor.drained = True
        predictor.errors = 0
        self._events.record(now, "drained", predictor.name, "operator")
        self._leave(predictor, now)
        self._replace_missing(now, f"{name} is drained")

    def ready(self, name: str, now: float) -> None:
        """Puts a drained predictor back: at once if it is healthy, else when it is. KeyError if unknown."""
        predictor = self.predictors[name]
        if not predictor.drained:
            return
        predictor.drained = False
        self._events.record(now, "ready", predictor.name, "operator")
        if predictor.up:
            self._rejoin(predictor, now)
        else:
            self._replace_missing(now, self._missing_text())

    def tick(self, now: float) -> None:
        """Lets standbys step back, and ends wants, once their reason has been over for the hold-down."""
        calm = self._hold_down_over(self._low_load_since_s, now)
        if calm and self._hold_down_over(self._saturated_at_s, now):
            self._saturated_at_s = None
            self._update_wanted(now, over=SATURATION_OVER)
        if not self._promoted:
            return
        fits = self._total_load <= FITTING_SHARE * self._actives_room
        back = fits and self._hold_down_over(self._all_back_since_s, now)
        for predictor in reversed(self._promoted.copy()):
            if predictor.promoted_for == "saturation" and calm:
                self._demote(predictor, now, SATURATION_OVER)
            elif predictor.promoted_for == "failure" and back:
                self._demote(predictor, now, "all actives are back")

    def _actives(self) -> Iterator[Predictor]:
        return (p for p in self.predictors.values() if not p.entry.role.is_backup)

    def _waiting(self) -> Iterator[Predictor]:
        """The standbys that could be promoted to replace a failure, as they are considered."""
        return (predictor for predictor in self._standbys if predictor.waits)

    def _note_room(self, predictor: Predictor, busy_at: int, now: float) -> None:
        before = predictor.room
        predictor.busy_at = busy_at
        if predictor.in_rotation and not predictor.entry.role.is_backup:
            self._actives_room += predictor.room - before
            self._note_load(now)

    def _standby_for_load(self, now: float, tried: Collection[str]) -> Predictor | None:
        for predictor in self._waiting():
            free = predictor.load < predictor.entry.capacity and predictor.name not in tried
            if free and self._hold_down_over(predictor.changed_at_s, now):
                return predictor
        return None

    def _promote_for_load(self, now: float, tried: Collection[str]) -> Predictor | None:
        standby = self._standby_for_load(now, tried)
        if standby is not None:
            busy = any(self.predictors[name].busy.weight for name in tried)
            why = ALL_BUSY if busy else "no other predictor can take a failed request" if tried else ALL_AT_CAPACITY
            self._promote(standby, now, "saturation", why)
        return standby

    def _promote(self, predictor: Predictor, now: float, promoted_for: str, reason: str) -> None:
        predictor.promoted_for = promoted_for
        predictor.changed_at_s = now
        self._saturated_at_s = None
        self._promoted.append(predictor)
        self._join(predictor, now)
        self._events.record(now, "promoted", predictor.name, reason)

    def _demote(self, predictor: Predictor, now: float, reason: str) -> None:
        if not self._hold_down_over(predictor.changed_at_s, now):
            return
        self._leave(predictor, now)
        predictor.changed_at_s = now
        self._events.record(now, "demoted", predictor.name, reason)
        self._replace_missing(now, over=reason)

    def _replace_missing(self, now: float, reason: str = "", over: str = "") -> None:
        """Has as many standbys promoted as actives are missing, or wanted: one per need, as they are considered."""
        while len(self._promoted) < self._missing and (standby := next(self._waiting(), None)):
            self._promote(standby, now, "failure", reason)
        for predictor in self._promoted[: self._missing]:
            predictor.promoted_for = "failure"
        if self._saturated_at_s is not None and (standby := next(self._waiting(), None)):
            self._saturated_at_s = None
            if self._hold_down_over(standby.changed_at_s, now):
                self._promote(standby, now, "saturation", ALL_AT_CAPACITY)
        self._update_wanted(now, reason, over)

    def _update_wanted(self, now: float, reason: str = "", over: str = "") -> None:
        """Has a cold standby wanted for each need that no promoted standby meets; `over` is why one no longer is."""
        needed = max(self._missing - len(self._promoted), int(self._saturated_at_s is not None))
        for predictor in self._standbys:
            predictor.wanted = predictor.wanted and predictor.startable
        wanted = [predictor for predictor in self._standbys if predictor.wanted]
        others = [predictor for predictor in self._standbys if predictor.startable and not predictor.wanted]
        for predictor in wanted[needed:]:
            predictor.wanted = False
            self._events.record(now, "unwanted", predictor.name, over)
        for predictor in others[: max(0, needed - len(wanted))]:
            predictor.wanted = True
            self._events.record(now, "wanted", predictor.name, reason or ALL_AT_CAPACITY)

    def _missing_text(self) -> str:
        missing = (p for p in self._actives() if not p.in_rotation)
        return ", ".join(f"{p.name} is {'drained' if p.drained else 'down'}" for p in missing)

    def _rejoin(self, predictor: Predictor, now: float) -> None:
        if not predictor.entry.role.is_backup:
            self._join(predictor, now)
        self._replace_missing(now, self._missing_text(), over=f"{predictor.name} is up")

    def _join(self, predictor: Predictor, now: float) -> None:
        predictor.in_rotation = True
        predictor.busy_at = None  # its process may be another
        self.doubts.clear(predictor)
        self._rotation.add(predictor)
        if not predictor.entry.role.is_backup:
            self._count_active(+1, predictor, now)

    def _leave(self, predictor: Predictor, now: float) -> None:
        if not predictor.in_rotation:
            return
        predictor.in_rotation = False
        self._rotation.remove(predictor)
        if predictor.entry.role.is_backup:
            self._promoted.remove(predictor)
            predictor.promoted_for = None
        else:
            self._count_active(-1, predictor, now)

    def _count_active(self, sign: int, predictor: Predictor, now: float) -> None:
        self._missing -= sign
        self._actives_room += sign * predictor.room
        self._all_back_since_s = None if self._missing else now
        self._note_load(now)

    def _hold_down_over(self, since_s: float | None, now: float) -> bool:
        return since_s is not None and now - since_s >= self._hold_down_s
