"""What HAProxy did, told to the balancer; what the balancer decides, as orders for HAProxy. No I/O, no clock.

HAProxy decides each request by itself; the balancer keeps roles, events and hold-downs, as for the Flask engine.
"""

from dataclasses import dataclass

from routing.balancer import Balancer, Predictor, Slot
from routing.counters import Traffic
from routing.haproxy.configuration import POOL, RESTING, STANDING_BY, planned_weights, spare
from routing.haproxy.failures import failed_since
from routing.haproxy.runtime import Figures, Reading


@dataclass
class _Row:
    """Failed answers in a row."""

    length: int = 0
    others_served: int = 0
    """What all others had served when it began: as long as they serve nothing, the requests may be at fault."""


class Mirror:
    """One HAProxy process beside the balancer of its topology."""

    def __init__(self, balancer: Balancer, traffic: Traffic) -> None:
        self.refused: dict[str, int] = {}
        self._balancer = balancer
        self._traffic = traffic
        self._slots: dict[str, list[Slot]] = {name: [] for name in balancer.predictors}
        self._rows = {name: _Row() for name in balancer.predictors}
        self._pending: dict[str, int] = {}
        self._settling: set[str] = set()
        self._ordered = planned_weights(p.entry for p in balancer.predictors.values())
        self._before = Reading({name: Figures() for name in balancer.predictors}, {})
        self._base: dict[str, int] = {}

    def begin(self, now: float) -> dict[str, int]:
        """Another HAProxy process takes the place of the one before: its counters start at 0.

        Returns the weights that it is to start with, so that what was decided and ordered holds from its first request.
        """
        anew = Mirror(self._balancer, self._traffic)
        self._base = {name: p.served for name, p in self._balancer.predictors.items()}
        self._before, self._rows = anew._before, anew._rows
        self._ordered = self._wanted(now)
        return self._ordered.copy()

    def see(self, reading: Reading, now: float) -> None:
        """Bring the balancer up to what HAProxy's counters say."""
        for name, figures in reading.predictors.items():
            self._see_health(name, figures, now)
        for name, figures in reading.predictors.items():
            self._see_load(name, figures, now)
        for name, failures in failed_since(self._before, reading).items():
            self._see_failures(name, failures, reading, now)
        for name, figures in reading.predictors.items():
            self._count(name, figures)
        self._count_refusals(reading)
        self._before = reading
        self._balancer.tick(now)

    def orders(self, now: float) -> list[str]:
        """Return what HAProxy has to be told, as commands, again and again until `carried_out`."""
        self._pending = {name: weight for name, weight in self._wanted(now).items() if self._ordered[name] != weight}
        return [f"set server {POOL}/{name} weight {weight}" for name, weight in self._pending.items()]

    def carried_out(self) -> None:
        """HAProxy has carried out the latest orders."""
        self._settling |= {name for name, weight in self._pending.items() if not weight}
        self._ordered |= self._pending
        self._pending = {}

    def _wanted(self, now: float) -> dict[str, int]:
        weights: dict[str, int] = {}
        for name, predictor in self._balancer.predictors.items():
            weights[name] = int(predictor.in_rotation)
            if not predictor.entry.active:
                weights[spare(name)] = self._may(predictor, now)
        return weights

    def _may(self, predictor: Predictor, now: float) -> int:
        if not predictor.available:
            return 0
        rested = predictor.in_rotation or self._balancer.may_stand_in(predictor.name, now)
        return STANDING_BY if rested else RESTING

    def _see_health(self, name: str, figures: Figures, now: float) -> None:
        if not figures.up:
            self._balancer.eject(name, now, figures.reason)
        elif not self._balancer.predictors[name].up:
            self._balancer.readmit(name, now)

    def _see_load(self, name: str, figures: Figures, now: float) -> None:
        """Hold as many slots as HAProxy has requests there; a standby that got one has been promoted by it."""
        slots, predictor = self._slots[name], self._balancer.predictors[name]
        given_more = figures.given > self._before.predictors[name].given
        if given_more and name not in self._settling:
            self._balancer.stand_in(name, now)
        self._settling.discard(name)  # the next look shows what it was given since it left the rotation
        while len(slots) < figures.load:
            slots.append(self._balancer.hold(name, now))
        while len(slots) > figures.load:
            self._balancer.release(slots.pop(), now)
        predictor.peak_load = max(predictor.peak_load, figures.peak_load)

    def _see_failures(self, name: str, failures: int, reading: Reading, now: float) -> None:
        """Eject who fails several times in a row, while others serve: else the requests may be at fault."""
        self._balancer.predictors[name].failed += failures
        figures, row, before = reading.predictors[name], self._rows[name], self._before.predictors[name]
        others = sum(f.served for other, f in reading.predictors.items() if other != name)
        if figures.served > before.served:
            row = self._rows[name] = _Row()
        elif failures > 0:
            if not row.length:
                row.others_served = sum(f.served for other, f in self._before.predictors.items() if other != name)
            row.length += failures
        if row.length >= self._balancer.rules.max_errors and others > row.others_served:
            reason = f"{row.length} failed answers in a row, last: no usable answer, or 5xx"
            self._balancer.eject_for_answers(name, now, reason)
            self._rows[name] = _Row()

    def _count(self, name: str, figures: Figures) -> None:
        predictor, before = self._balancer.predictors[name], self._before.predictors[name]
        predictor.served = self._base.get(name, 0) + figures.served
        for status, count in figures.answers.items():
            more = count - before.answers[status]
            if more > 0:
                self._traffic.answers[name, status] += more
        if figures.resends > before.resends:
            self._traffic.resends[name] += figures.resends - before.resends

    def _count_refusals(self, reading: Reading) -> None:
        for reason, count in reading.refused.items():
            more = count - self._before.refused.get(reason, 0)
            if more > 0:
                self.refused[reason] = self.refused.get(reason, 0) + more
                self._traffic.refused[reason] += more
