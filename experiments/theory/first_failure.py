"""What queueing theory predicts for the first failure of a loss system. No I/O here."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.theory.checks import is_count, require
from experiments.theory.simulation import LossSystem, affordable_replications, simulate

REPLICATIONS = 10_000
FEWEST_REPLICATIONS = 20
"""Below this many replications a 5 to 95 % range means nothing."""


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

    @property
    def deviation(self) -> float:
        """The standard deviation of a normal spread with this range."""
        return (self.p95 - self.p5) / (2 * NormalDist().inv_cdf(0.95))


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
    exactly (`simulation.simulate`). Engset's equations in time lead to the same distribution without chance, but
    with an approximation; a test checks the two against each other.

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
    if known := _known_without_simulation(system):
        return known
    affordable = affordable_replications(system, replications)
    if affordable < min(replications, FEWEST_REPLICATIONS):
        requests = f"{system.expected_requests:.0e}"
        return no_figures(slots, 0, f"too long to be simulated: a run takes about {requests} requests")
    found = simulate(system, affordable, seed)
    if not (failures := len(found[0])):
        return no_figures(slots, affordable, f"none of {affordable} simulated runs reached a first failure")
    time_s, users, rate_per_s = map(spread_of, found)
    return Prediction(slots, rate_per_s, users, time_s, failures / affordable, affordable)


def _known_without_simulation(system: LossSystem) -> Prediction | None:
    """The prediction where there is no chance in it, else None."""
    most_users, slots = system.max_users or math.inf, system.slots
    if system.service_time_s == 0:
        return no_figures(slots, 0, "with service time 0 no request is ever in flight: no first failure")
    if most_users <= slots:
        return no_figures(slots, 0, f"{most_users} users never overfill {slots} slots: no first failure")
    if system.users_per_spawn > slots:
        users, now = spread_of(system.users_at(np.zeros(1))), Spread(0.0, 0.0, 0.0)
        note = f"the first users, who come together, are more than {slots} slots: no time passes, so no rate"
        return Prediction(slots, None, users, now, 1.0, 0, note)
    return None


def no_figures(slots: int, replications: int, note: str) -> Prediction:
    """Returns a prediction without figures; the note says why."""
    return Prediction(slots, None, None, None, 0.0, replications, note)


def spread_of(values: npt.NDArray[Any]) -> Spread:
    """The spread of a figure over runs, one value each."""
    p5, median, p95 = (float(value) for value in np.quantile(values, (0.05, 0.50, 0.95), method="inverted_cdf"))
    return Spread(median, p5, p95)
