"""A loss system under a growing swarm, simulated up to its first failure. What it means: first_failure.py."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.theory.checks import is_count, require

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

WINDOW_S = 10.0
"""The rate at first failure is taken over this time before it; over the whole run where that is shorter."""

STEADY_WATCH_S = 600.0
"""A run with a greatest number of users and no time limit is followed this long after its last user came."""

MAX_REQUESTS = 100_000_000
"""About the most requests that one simulation draws, over all its replications: some seconds of work."""

ANSWER_EXTRA_S = 1e-6
"""What an answer takes besides its service time. It decides ties only: at 1 s and 1 user/s every new user
comes in the very instant in which the one before would be answered, and in reality finds that slot taken."""

_CHUNK_REQUESTS = 2_000_000
_CHUNK_REPLICATIONS = 250
_ROUNDING_S = 1e-9


@dataclass(frozen=True)
class LossSystem:
    """Slots without a queue, and the swarm in front of them.

    Users come as Locust's dispatcher sends them: floor(rate) at a time (one, below 1/s), the first at time 0,
    in equal steps. Each sends at once; its answer takes `service_time_s`; it waits uniform(`wait_s`); it
    sends again.

    Raises:
        ValueError: a value is out of its range; the text names the value and the range.
    """

    slots: int
    service_time_s: float
    spawn_rate_per_s: float
    wait_s: tuple[float, float] = (1.0, 5.0)
    max_users: int | None = None
    run_time_s: float | None = None

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        (low, high), users, limit_s = self.wait_s, self.max_users, self.run_time_s
        service_s, spawn = self.service_time_s, self.spawn_rate_per_s
        require(is_count(self.slots), "slots", self.slots, "a whole number from 1")
        require(0 <= service_s < math.inf, "service_time_s", service_s, "0 or more, finite")
        require(0 < spawn < math.inf, "spawn_rate_per_s", spawn, "above 0, finite")
        require(0 <= low <= high < math.inf, "wait_s", self.wait_s, "0 <= shortest <= longest, finite")
        require(users is None or is_count(users), "max_users", users, "None, or a whole number from 1")
        require(limit_s is None or 0 < limit_s < math.inf, "run_time_s", limit_s, "None, or above 0, finite")

    @property
    def cycle_s(self) -> float:
        """Mean time from one request of a user to its next."""
        return self.service_time_s + sum(self.wait_s) / 2

    @property
    def users_per_spawn(self) -> int:
        """How many users come at once."""
        return max(1, math.floor(self.spawn_rate_per_s))

    @property
    def spawn_gap_s(self) -> float:
        """Time between two arrivals of users."""
        return self.users_per_spawn / self.spawn_rate_per_s

    @property
    def block_s(self) -> float:
        """A stretch of the simulation; it and the one before hold all that a failure looks back on."""
        return 1.5 * max(WINDOW_S, self.service_time_s)

    @property
    def end_s(self) -> float:
        """When the run ends if nothing fails; infinite where the users grow without limit."""
        if self.run_time_s is not None:
            return self.run_time_s
        if self.max_users is not None:
            return self.max_users / self.spawn_rate_per_s + STEADY_WATCH_S
        return math.inf

    @property
    def expected_requests(self) -> float:
        """About how many requests a run sends until its end, or until the mean in flight fills the slots."""
        most_users = math.inf if self.max_users is None else float(self.max_users)
        users_to_fill = self.slots * self.cycle_s / self.service_time_s
        fails_s = users_to_fill / self.spawn_rate_per_s if users_to_fill < most_users else math.inf
        last_s = min(self.end_s, max(fails_s, self.block_s))
        ramp_s = min(last_s, most_users / self.spawn_rate_per_s)
        user_seconds = self.spawn_rate_per_s * ramp_s * (last_s - ramp_s / 2)
        return user_seconds / self.cycle_s + self.spawn_rate_per_s * ramp_s + 1

    def users_at(self, time_s: Floats) -> Ints:
        """How many users have come by these times."""
        spawns = np.floor(time_s / self.spawn_gap_s + _ROUNDING_S).astype(np.int64) + 1
        return np.minimum(spawns * self.users_per_spawn, self.max_users or np.iinfo(np.int64).max)

    def spawns_s(self, start_s: float, end_s: float) -> Floats:
        """The times of the users who come from `start_s` on and before `end_s`, one per user."""
        batch, gap_s = self.users_per_spawn, self.spawn_gap_s
        first, stop = (math.ceil(edge_s / gap_s - _ROUNDING_S) * batch for edge_s in (start_s, end_s))
        if self.max_users is not None:
            first, stop = min(first, self.max_users), min(stop, self.max_users)
        return np.asarray(np.arange(first, stop) // batch * gap_s, dtype=np.float64)


def affordable_replications(system: LossSystem, wanted: int) -> int:
    """How many of the wanted replications fit into MAX_REQUESTS; 0 where not even one does."""
    return min(wanted, int(MAX_REQUESTS / system.expected_requests))


def simulate(system: LossSystem, replications: int, seed: int) -> tuple[Floats, Ints, Floats]:
    """Runs the system until its first failure (or its end), `replications` times; same seed, same figures.

    Returns time, users and rate at the first failure, one item per run that reached it.

    Until its first failure a loss system has refused no request, so the users do not influence each other,
    and the requests of each are drawn by themselves. In order of time the first failure is then the first
    request that finds the `slots` requests before it all in flight: sent less than the service time ago. No
    step is approximated.

    Raises:
        ValueError: the service takes no time; the first users, who come at once, are more than the slots, so
            that there is no rate; or `replications` is no whole number from 1.
    """
    require(system.service_time_s > 0, "service_time_s", system.service_time_s, "above 0 to simulate")
    spawn = system.spawn_rate_per_s
    require(system.users_per_spawn <= system.slots, "spawn_rate_per_s", spawn, "below slots + 1 to simulate")
    require(is_count(replications), "replications", replications, "a whole number from 1")
    rng = np.random.default_rng(seed)
    chunk = max(1, min(_CHUNK_REPLICATIONS, int(_CHUNK_REQUESTS / system.expected_requests)))
    found: list[tuple[Floats, Floats]] = [(np.empty(0), np.empty(0))]
    for done in range(0, replications, chunk):
        found += _run_chunk(system, min(chunk, replications - done), rng)
    time_s, rate_per_s = (np.concatenate(column) for column in zip(*found, strict=True))
    return time_s, system.users_at(time_s), rate_per_s


def _run_chunk(system: LossSystem, runs: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
    """Times and rates of the first failures of some runs, block by block; a run that failed is dropped."""
    next_s, earlier_s = np.empty((runs, 0)), np.empty((runs, 0))
    start_s = 0.0
    while start_s < system.end_s and len(next_s):
        end_s = min(start_s + system.block_s, system.end_s)
        spawns_s = system.spawns_s(start_s, end_s)
        next_s = np.hstack([next_s, np.broadcast_to(spawns_s, (len(next_s), len(spawns_s)))])
        sent_s = _send_until(end_s, next_s, system, rng)
        both_s = np.hstack([earlier_s, sent_s])
        failed, time_s, rate_per_s = first_failures(both_s, system.slots, system.service_time_s)
        yield time_s, rate_per_s
        next_s, earlier_s = next_s[~failed], sent_s[~failed]
        start_s = end_s


def _send_until(end_s: float, next_s: Floats, system: LossSystem, rng: np.random.Generator) -> Floats:
    """Lets all users send until `end_s`: times, a row per run, padded with inf. Moves `next_s` on in place."""
    rounds = [np.empty((len(next_s), 0))]
    due = next_s < end_s
    while due.any():
        rounds.append(np.where(due, next_s, np.inf))
        waits_s = rng.uniform(*system.wait_s, np.count_nonzero(due))
        next_s[due] += system.service_time_s + ANSWER_EXTRA_S + waits_s
        due = next_s < end_s
    return np.hstack(rounds)


def first_failures(sent_s: Floats, slots: int, service_time_s: float) -> tuple[Bools, Floats, Floats]:
    """Finds the first request of each run that meets no free slot.

    Args:
        sent_s: times of requests in any order, (runs, requests), padded with inf; nothing may be missing from
            the window, or the service time, before the failure.
        slots: of the system.
        service_time_s: how long each request holds its slot.

    Returns:
        Which runs failed, (runs,); and of those alone the time of the first failure and the rate at it:
        requests sent in the window up to and with the one that failed, divided by the window.
    """
    if sent_s.shape[1] <= slots:
        return np.zeros(len(sent_s), dtype=np.bool_), np.empty(0), np.empty(0)
    sent_s = np.sort(sent_s, axis=1)
    with np.errstate(invalid="ignore"):  # inf - inf, the padding: never a failure
        full: Bools = sent_s[:, slots:] - sent_s[:, :-slots] < service_time_s + ANSWER_EXTRA_S - _ROUNDING_S
    failed: Bools = np.any(full, axis=1)
    rows, last = sent_s[failed], full[failed].argmax(axis=1) + slots
    time_s = rows[np.arange(len(rows)), last]
    window_from_s = np.where(time_s > WINDOW_S, time_s - WINDOW_S, -np.inf)
    before = np.count_nonzero(rows <= window_from_s[:, np.newaxis], axis=1)
    return failed, time_s, (last + 1 - before) / np.minimum(WINDOW_S, time_s)
