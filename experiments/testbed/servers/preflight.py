"""Preflight: how one of a user's own servers starts, takes load and ends, measured alone, without a router.

In full by `python -m experiments server`; in short, its service time and its capacity at once, before an experiment.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from statistics import fmean, median
from typing import Generic, Self, TypeVar

from cli import CommandError
from experiments.results.records import PreflightFigures
from experiments.testbed.ports import free_ports
from experiments.testbed.processes import Child, Process, wait_until_ready
from experiments.testbed.programs import LEAST_DEADLINE_S
from experiments.testbed.router import HOST
from experiments.testbed.servers.model_servers import Readiness
from experiments.testbed.servers.predictions import NO_ANSWER, Answer, Askers, Burst, Client, Pace
from experiments.testbed.servers.predictors import child_of, end_alone, started
from experiments.testbed.servers.probes import check_health
from experiments.testbed.signals import StopRequest
from experiments.theory.loss_model import MOST_GROWTH
from server_file import Place, Server

LEVELS = (1, 2, 4, 8, 16)
"""So many at once are tried."""

MOST_AT_ONCE = 64
"""No capacity above it is tried: so many threads of one process would disturb what they measure."""

ALONE = Pace(20, 0.0, 20.0)
TOGETHER = Pace(5, 0.5, 10.0)
ALONE_IN_SHORT = Pace(15, 0.0, 10.0)
TOGETHER_IN_SHORT = Pace(5, 0.5, 5.0)
"""How long each goes on: what bounds the whole, for a server that takes seconds."""

FIRST_WITHIN_S = 60.0
"""What one prediction may take before it is known how long they take."""

WAITED_S = 0.2
"""Until requests are in flight that a stop meets."""

STOPPED_WITH = 4
"""So many are in flight then, in its queue or not; fewer where it refuses some of as many."""

TELL_AFTER_S = 5.0
"""A server that is not ready, and has said the same for so long, is spoken of."""

ENDLESS = Pace(float("inf"), 0.0, float("inf"))
POLL_EVERY_S = 0.01


P = TypeVar("P", bound=Process)


class LoneServer(Generic[P]):
    """One server by itself; a context that leaves no process."""

    def __init__(self, server: Server, place: Place, start: Callable[[Server, Place, Path], P], folder: Path) -> None:
        """Starts it, with its log in `folder`. Raises CommandError where its command cannot be run."""
        self.server, self.place = server, place
        self.healthy_after_s = self.ready_after_s = 0.0
        self._begun_s = time.monotonic()
        self.child = start(server, place, folder / f"{place.name}.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_alone(self.child)

    def wait_until_ready(self, stop: StopRequest, tell: Callable[[str], None]) -> None:
        """Waits for its first good prediction; tells once why, where it goes on for long. Raises CommandError."""
        readiness = Readiness(self.server, self.place, self.child.processes)
        untold = [tell]

        def is_ready() -> bool:
            if untold and readiness.same_for_s >= TELL_AFTER_S:
                untold.pop()(f"still waiting, up to {self.server.ready_within_s:g} s: {readiness.reason()}")
            if (
                not self.healthy_after_s
                and check_health(self.server, self.place.host, self.place.ports[0], 1.0).is_good
            ):
                self.healthy_after_s = time.monotonic() - self._begun_s
            return readiness()

        wait_until_ready({self.child: is_ready}, stop, self.server.ready_within_s, lambda _: readiness.reason())
        self.ready_after_s = time.monotonic() - self._begun_s
        self.healthy_after_s = self.healthy_after_s or self.ready_after_s

    def predict(self) -> Answer:
        """One prediction."""
        client = Client(self.server, self.place, FIRST_WITHIN_S)
        answer = client.predict()
        client.close()
        return answer

    def askers(self, deadline_s: float, at_once: int, pace: Pace) -> Askers:
        """So many that ask it, not started yet."""
        return Askers(self.server, self.place, deadline_s, at_once, pace)

    def ask(self, deadline_s: float, at_once: int, pace: Pace, stop: StopRequest, *, and_health: bool = False) -> Burst:
        """Asks it, so many at once. Raises CommandError when it has ended."""
        askers = self.askers(deadline_s, at_once, pace)
        askers.start(and_health=and_health)
        try:
            askers.wait(stop)
        finally:
            askers.end()
        self.child.require_alive()
        return askers.burst

    def ask_alone(self, pace: Pace, stop: StopRequest) -> Burst:
        """Asks it, one at a time. Raises CommandError when it has ended, or no answer is good."""
        burst = self.ask(FIRST_WITHIN_S, 1, pace, stop)
        if burst.latency_s is None:
            raise CommandError(f"{self.place.name}: none of {burst.asked} predictions got a good answer: {burst.said}")
        return burst


@dataclass(frozen=True)
class Drain:
    """What a stop (SIGTERM to the leader) did to predictions in flight, and what it left."""

    in_flight: int
    """Predictions in flight at that moment."""
    answered: int
    """Those that got a good answer all the same."""
    ended_after_s: float | None
    """From the signal to the leader's end; null where it had not ended within `stop_within_s`."""
    left: int
    """Processes of its tree that ran on then."""


@dataclass(frozen=True)
class Preflight:
    """All that was measured of one server."""

    healthy_after_s: float
    """From its start to its first good health check."""
    ready_after_s: float
    """From its start to its first good prediction."""
    answer: Answer
    """Its answer to the payload."""
    alone: Burst
    levels: list[Burst]
    """By how many were at once, ascending."""
    processes: int
    """How many it consists of."""
    outside: int
    """Those of them that have left the process group that it was started in."""
    drain: Drain

    @property
    def service_time_s(self) -> float:
        """The median of its answers, one at a time."""
        return median(self.alone.good_s)

    @property
    def capacity(self) -> int:
        """The capacity that is suggested for it."""
        return carried_at_once(self.alone, self.levels)


def measure_in_short(
    place: Place, server: Server, capacity: int, folder: Path, stop: StopRequest, tell: Callable[[str], None]
) -> PreflightFigures:
    """Starts the predictor of this place; measures its service time, and its latency with `capacity` at once.

    Raises CommandError where it does not start, or answers no prediction.
    """
    with LoneServer(server, place, started, folder) as lone:
        lone.wait_until_ready(stop, tell)
        alone = lone.ask_alone(ALONE_IN_SHORT, stop)
        together = lone.ask(deadline_s(alone), min(capacity, MOST_AT_ONCE), TOGETHER_IN_SHORT, stop)
    return PreflightFigures(
        predictor=place.name,
        ready_after_s=in_three_digits(lone.ready_after_s),
        service_time_s=in_three_digits(median(alone.good_s)),
        fastest_s=in_three_digits(alone.good_s[0]),
        slowest_s=in_three_digits(alone.good_s[-1]),
        asked_alone=alone.asked,
        at_once=together.at_once,
        latency_at_once_s=None if together.latency_s is None else in_three_digits(together.latency_s),
        asked_at_once=together.asked,
        good_at_once=len(together.good_s),
        mean_s=in_three_digits(fmean(alone.good_s)),
        answers_per_s=None if together.answers_per_s is None else in_three_digits(together.answers_per_s),
    )


def in_three_digits(measured: float) -> float:
    """Returns a time or a rate as it is kept: more digits than these are chance."""
    return float(f"{measured:.3g}")


def measure_in_full(
    name: str, server: Server, folder: Path, stop: StopRequest, tell: Callable[[str], None]
) -> Preflight:
    """Starts it, measures it at each of LEVELS and its own capacity, and stops it under load.

    A level of which some get no answer at all is the last. Raises CommandError where it does not start, or answers
    no prediction.
    """
    place = Place(name, HOST, tuple(free_ports(server.ports_needed)))
    with LoneServer(server, place, child_of, folder) as lone:
        lone.wait_until_ready(stop, tell)
        answer, alone = lone.predict(), lone.ask_alone(ALONE, stop)
        levels = measure_levels(lone, alone, stop)
        members = lone.child.processes()
        outside = sum(has_left(process.pid, lone.child.pid) for process in members)
        answered = (each.at_once for each in levels if len(each.good_s) == each.asked and each.at_once <= STOPPED_WITH)
        in_flight = max(answered, default=1)
        drain = measure_drain(lone, deadline_s(alone), in_flight, stop)
    return Preflight(lone.healthy_after_s, lone.ready_after_s, answer, alone, levels, len(members), outside, drain)


def measure_levels(lone: LoneServer[Child], alone: Burst, stop: StopRequest) -> list[Burst]:
    """Asks it at each level, and for health meanwhile."""
    levels: list[Burst] = []
    for at_once in sorted({*LEVELS, min(lone.server.capacity or 1, MOST_AT_ONCE)}):
        if not levels or NO_ANSWER not in levels[-1].statuses:
            levels.append(lone.ask(deadline_s(alone), at_once, TOGETHER, stop, and_health=True))
    return levels


def carried_at_once(alone: Burst, levels: Sequence[Burst]) -> int:
    """The most at once that all got a good answer, in at most MOST_GROWTH times the time alone; 1 at least."""
    most_s = MOST_GROWTH * median(alone.good_s)

    def carries(level: Burst) -> bool:
        return len(level.good_s) == level.asked and median(level.good_s) <= most_s

    return max((level.at_once for level in takewhile(carries, levels)), default=1)


def measure_drain(lone: LoneServer[Child], deadline_s: float, at_once: int, stop: StopRequest) -> Drain:
    """Stops it while predictions are in flight; what outlives its leader has the rest of `stop_within_s`, as ever."""
    askers = lone.askers(deadline_s, at_once, ENDLESS)
    askers.start()
    stop.wait(WAITED_S)
    signalled_s = time.monotonic()
    lone.child.terminate()
    askers.end()
    has_ended = stop.wait_until(lone.child.has_ended, lone.server.stop_within_s, POLL_EVERY_S)
    ended_after_s = time.monotonic() - signalled_s
    rest_s = lone.server.stop_within_s - ended_after_s
    stop.wait_until(lambda: not lone.child.processes(), rest_s, POLL_EVERY_S)
    left = len(lone.child.processes())
    lone.child.stop(0.0)
    askers.wait(stop)
    in_flight = [each for each in askers.burst.answers if each.sent_s <= signalled_s < each.ended_s]
    return Drain(len(in_flight), sum(each.good for each in in_flight), ended_after_s if has_ended else None, left)


def has_left(pid: int, group: int) -> bool:
    """Whether the process runs in another process group."""
    try:
        return os.getpgid(pid) != group
    except ProcessLookupError:
        return False


def deadline_s(alone: Burst) -> float:
    """How long the router would wait for an answer of a server that is so fast alone."""
    return max(LEAST_DEADLINE_S, 4 * (alone.latency_s or 0.0))
