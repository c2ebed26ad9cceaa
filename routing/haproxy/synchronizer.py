"""Keeps balancer and HAProxy in step: its counters change the balancer, the balancer's state makes commands for it.

HAProxy decides each request; roles, events and hold-downs are the balancer's, as with Flask. No I/O, no clock.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from routing.balancer import Balancer
from routing.counters import Counters
from routing.haproxy.configuration import COOLING_DOWN, POOL, PROMOTABLE, planned_weights, spare
from routing.haproxy.failures import Failed, failed_since
from routing.haproxy.runtime import ServerStats, Stats
from routing.rotation import Predictor, Slot

MAX_BUSY_SEEN = 10
"""More busy answers of one predictor between two looks tell nothing more."""


@dataclass
class _FailureStreak:
    """Failed answers in a row."""

    length: int = 0
    others_served: int = 0
    """What all others had served when it began: as long as they serve nothing, the requests may be at fault."""
    cut_at: int | None = None
    """What the predictor had served when the first of them was cut short; None: none was."""

    def is_over(self, served: int, before: int, load: int) -> bool:
        """Whether an answer was whole since it began, or since the look before.

        HAProxy counts an answer as it begins. Where some are cut short, one is known to be whole only if more have
        begun than could still be on their way.
        """
        return served > before if self.cut_at is None else served - load > self.cut_at


class Synchronizer:
    """One HAProxy process beside the balancer of its topology."""

    def __init__(
        self, balancer: Balancer, counters: Counters, is_proven: Callable[[str], bool] = lambda _: True
    ) -> None:
        """`is_proven(name)` says whether a predictor whose health checks pass may join."""
        self._is_proven = is_proven
        self.refused: Counter[str] = Counter()
        self._balancer = balancer
        self._counters = counters
        self._slots: dict[str, list[Slot]] = {name: [] for name in balancer.predictors}
        self._weights = planned_weights(p.entry for p in balancer.predictors.values())
        self._pending: dict[str, int] = {}
        self._settling: set[str] = set()
        self._owed: Counter[str] = Counter()  # answers counted as served, below 0, that were cut short later
        self._reset()

    def _reset(self) -> None:
        self._streaks = {name: _FailureStreak() for name in self._balancer.predictors}
        self._before = Stats({name: ServerStats() for name in self._balancer.predictors}, {})
        self._served: Counter[str] = Counter()  # since then, whole

    def restart(self, now: float) -> dict[str, int]:
        """Follows another HAProxy process, whose counters start at 0; returns the weights for its first request."""
        self._reset()
        self._weights = self._target_weights(now)
        return self._weights.copy()

    def resume(self, counted: Stats, weights: Mapping[str, int]) -> None:
        """Follows an HAProxy that another router has followed up to these counters, and that has these weights."""
        self._before = counted
        self._weights |= weights

    @property
    def counted(self) -> Stats:
        """The counters up to which all is counted."""
        return self._before

    def update(self, stats: Stats, now: float) -> None:
        """Brings the balancer up to what HAProxy's counters say."""
        for name, server in stats.servers.items():
            self._update_health(name, server, now)
        for name, server in stats.servers.items():
            self._update_load(name, server, now)
        busy = {name: server.busy - self._before.servers[name].busy for name, server in stats.servers.items()}
        for name, count in busy.items():
            self._update_busy(name, count, now)
        failed = failed_since(self._before, stats)
        earlier = self._served.copy()
        self._served.update(_served_since(self._before, stats, failed))
        for name, each in failed.items():
            self._update_failures(name, each, stats.servers[name].load, earlier, now)
        self.count(self._before, stats, now)
        if stats.refused.get("saturated", 0) > self._before.refused.get("saturated", 0):
            self._balancer.note_saturation(now)
        self._before = stats
        self._balancer.tick(now)

    def count(self, before: Stats, after: Stats, now: float) -> None:
        """Adds what an HAProxy has counted in between, of these predictors, and decides nothing by it."""
        failed = failed_since(before, after)
        served = _served_since(before, after, failed)
        for name in self._slots.keys() & after.servers.keys():
            server = after.servers[name]
            more = served[name] + self._owed[name]
            self._owed[name] = min(0, more)
            self._balancer.add_counts(name, max(0, more), failed[name].number, server.peak_load, now)
            self._count(name, before.servers[name], server)
        self._count_refusals(before, after)

    def commands(self, now: float) -> list[str]:
        """Returns what HAProxy has to change, as commands, again and again until `confirm`."""
        self._pending = {name: new for name, new in self._target_weights(now).items() if self._weights[name] != new}
        return [f"set server {POOL}/{name} weight {weight}" for name, weight in self._pending.items()]

    def confirm(self) -> None:
        """Notes that HAProxy has carried out the latest commands."""
        self._settling |= {name for name, weight in self._pending.items() if not weight}
        self._weights |= self._pending
        self._pending = {}

    def movable(self) -> dict[str, int]:
        """Returns of those who are down how many requests that wait on them others have free slots for."""
        free = sum(max(0, p.entry.capacity - p.load) for p in self._balancer.predictors.values() if p.in_rotation)
        found: dict[str, int] = {}
        for name, server in self._before.servers.items():
            if not server.up and (count := min(server.load, free)):
                found[name] = count
                free -= count
        return found

    def _target_weights(self, now: float) -> dict[str, int]:
        weights: dict[str, int] = {}
        for name, predictor in self._balancer.predictors.items():
            weights[name] = int(predictor.in_rotation and not self._balancer.rests(name, now))
            if predictor.entry.role.is_backup:
                weights[spare(name)] = self._spare_weight(predictor, now)
        return weights

    def _spare_weight(self, predictor: Predictor, now: float) -> int:
        if not predictor.available:
            return 0
        promotable = predictor.in_rotation or self._balancer.promotable(predictor.name, now)
        return PROMOTABLE if promotable else COOLING_DOWN

    def _update_health(self, name: str, server: ServerStats, now: float) -> None:
        was_up = self._balancer.predictors[name].up
        if not server.up and (was_up or not server.rising):
            self._balancer.eject(name, now, server.reason, server.found)
        elif server.up and not was_up and self._balancer.may_return(name, now) and self._is_proven(name):
            self._balancer.readmit(name, now)

    def _update_load(self, name: str, server: ServerStats, now: float) -> None:
        """Holds as many slots as HAProxy has requests there; a standby that got one has been promoted by it."""
        slots = self._slots[name]
        given_more = server.given > self._before.servers[name].given
        if given_more and name not in self._settling:
            self._balancer.note_promotion(name, now)
        self._settling.discard(name)  # the next stats show what it was given since it left the rotation
        while len(slots) < server.load:
            slots.append(self._balancer.reserve_at(name, now))
        while len(slots) > server.load:
            self._balancer.release(slots.pop(0), now)

    def _update_busy(self, name: str, answers: int, now: float) -> None:
        """Has who said busy rest, as HAProxy asks nobody else; a standby is promoted where all in rotation say it."""
        for _ in range(min(answers, MAX_BUSY_SEEN)):
            self._balancer.busy(name, now)
        if answers > 0:
            self._balancer.note_busy_everywhere(now)

    def _update_failures(self, name: str, failures: Failed, load: int, earlier: Counter[str], now: float) -> None:
        """Ejects who fails several times in a row, while others serve: else the requests may be at fault."""
        streak = self._streaks[name]
        if streak.is_over(self._served[name], earlier[name], load):
            streak = self._streaks[name] = _FailureStreak()
        elif failures.number > 0:
            if not streak.length:
                streak.others_served = _by_others(earlier, name)
            if failures.cut_short and streak.cut_at is None:
                streak.cut_at = self._served[name]
            streak.length += failures.number
        others_serve = _by_others(self._served, name) > streak.others_served
        if streak.length >= self._balancer.max_errors and others_serve:
            reason = f"{streak.length} failed answers in a row, last: no usable answer, 404, 405, 410 or 5xx"
            self._balancer.eject_for_answers(name, now, reason)
            self._streaks[name] = _FailureStreak()

    def _count(self, name: str, before: ServerStats, after: ServerStats) -> None:
        for status, count in after.answers.items():
            more = count - before.answers[status]
            if more > 0:
                self._counters.answers[name, status] += more
        if after.resends > before.resends:
            self._counters.resends[name] += after.resends - before.resends

    def _count_refusals(self, before: Stats, after: Stats) -> None:
        for reason, count in after.refused.items():
            more = count - before.refused.get(reason, 0)
            if more > 0:
                self.refused[reason] += more
                self._counters.refused[reason] += more


def _served_since(before: Stats, after: Stats, failed: Mapping[str, Failed]) -> Counter[str]:
    """How many answers each predictor gave well, to their ends."""
    served: Counter[str] = Counter()
    for name, server in after.servers.items():
        served[name] = server.served - before.servers[name].served - failed[name].cut_short
    return served


def _by_others(served: Mapping[str, int], name: str) -> int:
    return sum(count for other, count in served.items() if other != name)
