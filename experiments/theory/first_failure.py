"""What queueing theory predicts for the first failure of a loss system. No I/O here."""

import math
from dataclasses import dataclass

import numpy as np

from experiments.theory.checks import is_count, require
from experiments.theory.simulation import WINDOW_S, Floats, Ints, LossSystem, affordable_replications, simulate

REPLICATIONS = 10_000
FEWEST_REPLICATIONS = 20
"""Below this many replications a 5 to 95 % range means nothing."""

_QUANTILES = (0.05, 0.50, 0.95)
_GRID = np.linspace(0.0005, 0.9985, 999)  # probabilities, equally likely, up to where the chain is followed


@dataclass(frozen=True)
class Spread:
    """The median of a figure, and the range that holds its middle 90 %: p5 to p95."""

    median: float
    """Half of the runs lie below."""
    p5: float
    """5 % of runs lie below."""
    p95: float
    """5 % of runs lie above."""

    def contains(self, value: float) -> bool:
        """Whether the value lies in the 5 to 95 % range, ends included."""
        return self.p5 <= value <= self.p95


@dataclass(frozen=True)
class Prediction:
    """The first failure in theory: the figures of the runs that reach it, None where there are none."""

    slots: int
    """The most requests in flight with every predictor in rotation, standbys included."""
    rate_per_s: Spread | None
    """Requests sent in the 10 s before it, divided by the window (shorter if the run is younger)."""
    users: Spread | None
    """Users in the swarm at the first failure."""
    time_s: Spread | None
    """From the first user to the first failure."""
    share_reached: float
    """The share of runs that reach a first failure within their users and their time."""
    replications: int
    """How many runs were simulated; 0: none was."""
    note: str = ""
    """Why figures are missing; one sentence, empty where none is."""


def predict_first_failure(
    slots: int,
    service_time_s: float,
    spawn_rate_per_s: float,
    wait_s: tuple[float, float] = (1.0, 5.0),
    *,
    max_users: int | None = None,
    run_time_s: float | None = None,
    replications: int = REPLICATIONS,
    seed: int = 1917,
) -> Prediction:
    """Predicts the first failure of a topology under a growing swarm from its settings; nothing is fitted.

    A topology that accepts or refuses each request at once, without a queue, is Erlang's loss system; all
    answers taking the same time, it has `slots` servers of constant service time S. A swarm is not the
    endless source of Erlang's formula: of n users each is in flight or waits (W in the mean), and those who
    wait send 1 / W requests/s each. That is Engset's finite source; its steady state, where nothing is lost,
    is binomial with p = S / (S + W). Here nothing is steady: n grows all the time, a new user sends at once,
    and the *first* refusal of a run has no closed form in either model. So the system itself is simulated,
    exactly (`simulation.simulate`). `engset_first_failure` gets at the same distribution without chance, by
    Engset's equations in time, but with an approximation; the two check each other.

    Sources: A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in
    automatic telephone exchanges" (1917); T. O. Engset, "Die Wahrscheinlichkeitsrechnung zur Bestimmung der
    Waehlerzahl in automatischen Fernsprechaemtern" (1918).

    Args:
        slots: requests in flight that the topology carries, standbys included: the sum of the capacities.
        service_time_s: how long an answer takes.
        spawn_rate_per_s: how fast users come; they come in Locust's steps (`LossSystem`).
        wait_s: shortest and longest wait of a user after an answer; uniform between them.
        max_users: the swarm grows to this many; without `run_time_s` it is then followed for STEADY_WATCH_S.
        run_time_s: the run ends here.
        replications: runs to simulate; fewer are where these would take more than MAX_REQUESTS requests.
        seed: of the random numbers; the same seed gives the same figures.

    Returns:
        The prediction. It has no figures, and a note that says why, where service takes no time, where no run
        reached a failure and where a run is too long to be simulated; and no rate where the very first users,
        who come together, are more than the slots.

    Raises:
        ValueError: a value is out of its range; the text names the value and the range.
    """
    system = LossSystem(slots, service_time_s, spawn_rate_per_s, wait_s, max_users, run_time_s)
    require(is_count(replications), "replications", replications, "a whole number from 1")
    known = _known_without_simulation(system)
    if known:
        return known
    affordable = affordable_replications(system, replications)
    if affordable < min(replications, FEWEST_REPLICATIONS):
        requests = f"{system.expected_requests:.0e}"
        return _no_figures(slots, 0, f"too long to be simulated: a run takes about {requests} requests")
    found = simulate(system, affordable, seed)
    if not len(found.time_s):
        return _no_figures(slots, affordable, f"none of {affordable} simulated runs reached a first failure")
    share = len(found.time_s) / affordable
    return Prediction(slots, _spread(found.rate_per_s), _spread(found.users), _spread(found.time_s), share, affordable)


def _known_without_simulation(system: LossSystem) -> Prediction | None:
    """The prediction where there is no chance in it, else None."""
    most_users, slots = system.max_users or math.inf, system.slots
    if system.service_time_s == 0:
        return _no_figures(slots, 0, "with service time 0 no request is ever in flight: no first failure")
    if most_users <= slots:
        return _no_figures(slots, 0, f"{most_users} users never overfill {slots} slots: no first failure")
    if system.users_per_spawn > slots:
        users, now = _spread(system.users_at(np.zeros(1))), Spread(0.0, 0.0, 0.0)
        note = f"the first users, who come together, are more than {slots} slots: no time passes, so no rate"
        return Prediction(slots, None, users, now, 1.0, 0, note)
    return None


def _no_figures(slots: int, replications: int, note: str) -> Prediction:
    return Prediction(slots, None, None, None, 0.0, replications, note)


def _spread(values: Floats | Ints) -> Spread:
    p5, median, p95 = (float(value) for value in np.quantile(values, _QUANTILES, method="inverted_cdf"))
    return Spread(median, p5, p95)


def engset_first_failure(
    slots: int, service_time_s: float, spawn_rate_per_s: float, wait_s: tuple[float, float] = (1.0, 5.0)
) -> Prediction:
    """Approximates `predict_first_failure` by the Engset model in time: no random numbers, some milliseconds.

    The number in flight j is a birth-death chain: (n - j) / W up, j / S down, and a step up with each new
    user. The step up from j = `slots` is the first failure and ends the chain, so the probability left at
    time t is the chance of no failure until t. Between two spawns the equations are linear, and a matrix
    exponential solves them.

    At a failure at time t the `slots` + 1 requests of the last S seconds are in flight or refused; those sent
    before that in the window have been answered by t, at E[j] / S per second in the mean, given no failure so
    far. The rate at t is the sum of both by the window: its spread here is that of the time alone.

    Approximate in that service and wait count as exponential with their means. In steady state that would
    change nothing (the model is insensitive to their distributions); before it, a new user sends a bit more
    than with a wait that is never short, so the rate comes out high, the more so the younger the run: at the
    defaults by about 5, 3 and 2 % in the median at 10, 20 and 30 slots, the time by under 1 %. Users
    who come together stay in step for some cycles of constant service; where that decides (batches near the
    slots), the chain is of no use.

    Raises:
        ValueError: a value is out of its range; here service time and mean wait must be above 0, and those
            who come together no more than the slots.
    """
    system = LossSystem(slots, service_time_s, spawn_rate_per_s, wait_s)
    require(service_time_s > 0, "service_time_s", service_time_s, "above 0 in the Engset model")
    require(wait_s[1] > 0, "wait_s", wait_s, "a mean above 0 in the Engset model")
    require(system.users_per_spawn <= slots, "spawn_rate_per_s", spawn_rate_per_s, "below slots + 1")
    course_s, failed, answered = _engset_course(system)
    time_s = np.interp(_GRID, failed, course_s)
    window_s = np.minimum(WINDOW_S, time_s)
    in_flight = (slots + 1) * np.minimum(1.0, window_s / service_time_s)
    since_s = np.where(time_s > WINDOW_S, np.minimum(time_s - WINDOW_S + service_time_s, time_s), 0.0)
    requests = in_flight + np.interp(time_s, course_s, answered) - np.interp(since_s, course_s, answered)
    return Prediction(slots, _spread(requests / window_s), _spread(system.users_at(time_s)), _spread(time_s), 1.0, 0)


def _engset_course(system: LossSystem) -> tuple[Floats, Floats, Floats]:
    """Times, the chance of a failure until then, the mean requests answered if none came; (points,) each.

    Two points per spawn, just before and just after it, until a failure is all but certain.
    """
    gap_s, batch = system.spawn_gap_s, system.users_per_spawn
    in_flight = np.arange(system.slots + 1)
    alive = (in_flight == 0).astype(np.float64)
    time_s, answered, users = 0.0, 0.0, 0
    course = [(0.0, 0.0, 0.0)]
    while alive.sum() > 1e-3:
        alive, users = np.concatenate([np.zeros(batch), alive])[: system.slots + 1], users + batch
        course.append((time_s, 1 - alive.sum(), answered))
        transition, stay_s = _engset_step(system, users)
        time_s, busy = time_s + gap_s, alive @ stay_s
        answered += gap_s * (busy @ in_flight) / busy.sum() / system.service_time_s
        alive = alive @ transition
        course.append((time_s, 1 - alive.sum(), answered))
    columns = np.array(course).T
    return columns[0], columns[1], columns[2]


def _engset_step(system: LossSystem, users: int) -> tuple[Floats, Floats]:
    """The chain over one spawn gap with so many users: its transition matrix and the time in each state.

    Both (slots + 1, slots + 1), from the state at the start; a failure leaves them. Matrix exponential and
    its integral, by doubling a short step of a Taylor polynomial of degree 2.
    """
    in_flight = np.arange(system.slots + 1)
    up = np.maximum(users - in_flight, 0) / (system.cycle_s - system.service_time_s)
    down = in_flight / system.service_time_s
    generator = np.diag(-(up + down)) + np.diag(up[:-1], 1) + np.diag(down[1:], -1)
    doublings = max(0, math.ceil(math.log2((up + down).max() * system.spawn_gap_s / 0.02)))
    short_s = system.spawn_gap_s / 2**doublings
    small, unit = generator * short_s, np.eye(system.slots + 1)
    transition, stay_s = unit + small + small @ small / 2, short_s * (unit + small / 2)
    for _ in range(doublings):
        transition, stay_s = transition @ transition, stay_s + transition @ stay_s
    return transition, stay_s
