"""Ten years of a deployment, request by request and slot by slot: a second way to what yearly.py reckons.

Nothing of the formulas is in it: neither Erlang's nor the binomial distribution nor independent refusals. Times of
service are uniform, not exponential, since Erlang's formula needs no more than their mean.
"""

import heapq
import math
import random
from dataclasses import dataclass, field

DEPARTURE, FAILURE, REPAIR, COMMON, COMMON_OVER, READY, ROUTER = range(7)


@dataclass
class Rig:
    """Predictors of so many slots; the last may be a standby. Requests go where the fewest are in flight."""

    actives: int
    standby: str
    """"warm", "cold" or none."""
    capacity: int
    rate_per_s: float
    service_time_s: float
    mtbf_s: float
    repair_s: float
    common_cause: float
    start_s: float
    start_fails: float
    router_mtbf_s: float
    seed: int
    offered: int = 0
    lost: int = 0
    now: float = 0.0
    events: list[tuple[float, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nothing is wrong at first."""
        self.chance = random.Random(self.seed)
        count = self.actives + bool(self.standby)
        self.busy, self.life, self.up = [0] * count, [0] * count, [True] * count
        self.all_down, self.starts, self.standby_serves = False, 0, self.standby == "warm"
        for predictor in range(self.actives + (self.standby == "warm")):
            self.will_fail(predictor)
        self.after(self.exponential(self.mtbf_s / self.common_cause), COMMON)
        self.after(self.exponential(self.router_mtbf_s), ROUTER)

    def exponential(self, mean_s: float) -> float:
        """A time until something that comes at random."""
        return self.chance.expovariate(1 / mean_s)

    def repair_time_s(self) -> float:
        """Log-normal; its standard deviation is its mean."""
        return self.chance.lognormvariate(math.log(self.repair_s / math.sqrt(2)), math.sqrt(math.log(2)))

    def will_fail(self, predictor: int, life: int = 0) -> None:
        """By itself, while it is up."""
        self.after(self.exponential(self.mtbf_s / (1 - self.common_cause)), FAILURE, predictor, life)

    def after(self, wait_s: float, what: int, predictor: int = 0, life: int = 0) -> None:
        """Notes an event."""
        heapq.heappush(self.events, (self.now + wait_s, what, predictor, life))

    def run(self, until_s: float) -> float:
        """Returns the share of the requests that were lost until then."""
        acts = {FAILURE: self.fail, REPAIR: self.repair, COMMON: self.common, READY: self.ready, ROUTER: self.router}
        acts[COMMON_OVER] = self.common_over
        arrives_s = self.exponential(1 / self.rate_per_s)
        while arrives_s < until_s:
            while self.events[0][0] < arrives_s:
                self.now, what, predictor, life = heapq.heappop(self.events)
                if what != DEPARTURE:
                    acts[what](predictor, life)
                elif life == self.life[predictor]:
                    self.busy[predictor] -= 1
            self.now = arrives_s
            self.offered += 1
            self.send()
            arrives_s += self.exponential(1 / self.rate_per_s)
        return self.lost / self.offered

    def send(self) -> None:
        """A request takes a slot, or is lost."""
        predictor = -1 if self.all_down else self.chosen()
        if predictor < 0:
            self.lost += 1
            return
        self.busy[predictor] += 1
        ends_s = self.now + self.service_time_s * (0.5 + self.chance.random())
        heapq.heappush(self.events, (ends_s, DEPARTURE, predictor, self.life[predictor]))

    def chosen(self) -> int:
        """The active with the fewest in flight, the standby where the actives are full, or none: -1."""
        best, least = -1, self.capacity
        for predictor in range(self.actives):
            if self.busy[predictor] < least and self.up[predictor]:
                best, least = predictor, self.busy[predictor]
        if best < 0 and self.standby_serves and self.up[-1] and self.busy[-1] < self.capacity:
            return len(self.busy) - 1
        return best

    def drop(self, predictor: int) -> int:
        """All in flight there fail: how many these are."""
        dropped, self.busy[predictor] = self.busy[predictor], 0
        self.life[predictor] += 1
        return dropped

    def fail(self, predictor: int, start: int) -> None:
        """What it has in flight is sent again; the first failure of an active starts a cold standby."""
        if self.is_cold(predictor) and start != self.starts:
            return  # it has been stopped since
        if self.standby == "cold" and self.actives_are_up():
            self.starts += 1
            if self.chance.random() >= self.start_fails:
                self.after(self.start_s, READY, 0, self.starts)
        self.up[predictor] = False
        for _ in range(self.drop(predictor)):
            self.send()
        self.after(self.repair_time_s(), REPAIR, predictor)

    def repair(self, predictor: int, _: int) -> None:
        """With all actives up a cold standby takes no more requests; one that is repaired serves if it is to."""
        self.up[predictor] = True
        if self.is_cold(predictor):
            if self.standby_serves:
                self.will_fail(predictor, self.starts)
            return
        if self.standby == "cold" and self.actives_are_up():
            self.standby_serves = False
            self.starts += 1
        self.will_fail(predictor)

    def is_cold(self, predictor: int) -> bool:
        """Whether it is a cold standby."""
        return self.standby == "cold" and predictor == self.actives

    def actives_are_up(self) -> bool:
        """Whether none of them has failed by itself."""
        return all(self.up[: self.actives])

    def ready(self, _: int, start: int) -> None:
        """A cold standby has started, if it is still wanted; it serves once it is repaired, if it has failed before."""
        if start == self.starts:
            self.standby_serves = True
            if self.up[-1]:
                self.will_fail(self.actives, start)

    def router(self, *_: int) -> None:
        """All in flight are lost."""
        self.lost += sum(self.drop(each) for each in range(len(self.busy)))
        self.after(self.exponential(self.router_mtbf_s), ROUTER)

    def common(self, *_: int) -> None:
        """All in flight are lost, and all that come until it is mended."""
        self.lost += sum(self.drop(each) for each in range(len(self.busy)))
        self.all_down = True
        self.after(self.repair_time_s(), COMMON_OVER)

    def common_over(self, *_: int) -> None:
        """All that have not failed by themselves meanwhile serve again."""
        self.all_down = False
        self.after(self.exponential(self.mtbf_s / self.common_cause), COMMON)
