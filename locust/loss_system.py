"""The first failure of a loss system under a growing swarm, by simulation: the range that chance alone gives.

It knows no Locust: as a program it takes a System as JSON and prints the 5 and 95 % quantiles of the rate as JSON.
"""

import dataclasses
import heapq
import json
import math
import os
import random
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

WINDOW_S = 10.0  # what the rate at first failure looks back on
REPLICATIONS = 1000
FEWEST_REPLICATIONS = 100
TIME_LIMIT_S = 2.0  # of simulation, at the lowest priority
STEADY_WATCH_S = 600.0
ANSWER_EXTRA_S = 1e-6  # decides ties: a user who comes as another is answered finds the slot taken


@dataclass(frozen=True)
class System:
    """Slots without a queue, and the swarm in front of them.

    Users come as Locust sends them: floor(rate) at a time (one, below 1/s), the first at time 0. Each sends at
    once; its answer takes `service_time_s`; it waits uniform(`wait_s`); it sends again. Without `run_time_s` a run ends
    STEADY_WATCH_S after the last user came.
    """

    slots: int
    service_time_s: float
    spawn_rate_per_s: float
    wait_s: tuple[float, float]
    max_users: int
    run_time_s: float | None = None

    @property
    def users_per_spawn(self) -> int:
        """How many users come at once."""
        return max(1, math.floor(self.spawn_rate_per_s))

    def requests_s(self, rng: random.Random) -> Iterator[float]:
        """Yields the times of all requests, in order, as if none were ever refused."""
        batch, rate_per_s = self.users_per_spawn, self.spawn_rate_per_s
        due = [user // batch * batch / rate_per_s for user in range(self.max_users)]  # in order, so a heap
        end_s = self.run_time_s or self.max_users / rate_per_s + STEADY_WATCH_S
        while (now_s := due[0]) < end_s:
            yield now_s
            heapq.heapreplace(due, now_s + self.service_time_s + ANSWER_EXTRA_S + rng.uniform(*self.wait_s))


def rate_at_first_failure(system: System, rng: random.Random) -> float | None:
    """Returns the rate of one simulated run, in requests/s; None where nothing fails, or all does at once.

    A request fails where the `slots` requests before it were all sent less than the service time ago.
    """
    before: deque[float] = deque([-math.inf] * system.slots, system.slots)
    window: deque[float] = deque()
    for now_s in system.requests_s(rng):
        window.append(now_s)
        while window[0] <= now_s - WINDOW_S:
            window.popleft()
        if now_s - before[0] < system.service_time_s + ANSWER_EXTRA_S / 2:
            return len(window) / min(WINDOW_S, now_s) if now_s else None
        before.append(now_s)
    return None


def rate_range(
    system: System, replications: int = REPLICATIONS, time_limit_s: float = TIME_LIMIT_S, seed: int = 1917
) -> tuple[float, float] | None:
    """Returns the 5 and 95 % quantiles of the rate; None where too few runs were simulated in the time, or failed.

    Source: A. K. Erlang's loss system (1917), with T. O. Engset's finite source (1918) that grows.
    """
    rng, end_s = random.Random(seed), time.process_time() + time_limit_s
    rates: list[float] = []
    for _ in range(replications):
        rate = rate_at_first_failure(system, rng)
        if rate is not None:
            rates.append(rate)
        if time.process_time() > end_s:
            break
    if len(rates) < FEWEST_REPLICATIONS:
        return None
    rates.sort()
    p5, p95 = (rates[math.ceil(share * len(rates)) - 1] for share in (0.05, 0.95))
    return p5, p95


def main() -> None:
    """Simulates the system of the command line, and gives way to every other process meanwhile."""
    os.nice(19)
    print(json.dumps(rate_range(System(**json.loads(sys.argv[1])))))


def arguments_of(system: System) -> list[str]:
    """Returns the command line that simulates this system in a process of its own."""
    return [sys.executable, __file__, json.dumps(dataclasses.asdict(system))]


if __name__ == "__main__":
    main()
