"""Router, predictors and requests in flight, event by event, for the simulation of a fault. No I/O.

The router's decisions are in router_model.py.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from experiments.theory.fault_scenario import Cost, FaultScenario
from experiments.theory.router_model import Predictor, RouterModel

PROBE_INTERVAL_S = 0.5
PROBE_TIMEOUT_S = 0.5
FALL, RISE = 2, 2
"""The router's health checks: so many failed, or passed, in a row flip its verdict."""

TICK_S = 0.1
"""How often the router looks whether a standby may step back, and who answers nothing."""

PATIENCE, LEAST_PATIENCE_S = 3.0, 1.0
"""An answer may take so many times a predictor's slowest good one, and so long in any case."""

TAKE_OVER_S = 0.05
"""From a router's end until the spare serves in its place, as measured: who comes meanwhile waits."""

CONNECT_TIMEOUT_S = 0.5
"""How long the router waits for a connection."""
SLACK_S = 0.01
"""What waiting so long takes beside: that makes an answer late."""

MAX_SENT = 2
"""A request that may have run goes to so many predictors at most."""


class Clock:
    """What is to happen, in order of time."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = itertools.count()

    @property
    def next_s(self) -> float:
        """When the next event is."""
        return self._events[0][0]

    def at(self, time_s: float, action: Callable[..., None], *arguments: Any) -> None:
        """Has the action take place then; among those of one moment in the order of this call."""
        heapq.heappush(self._events, (time_s, next(self._serial), action, arguments))

    def follow(self, steps: Iterator[float]) -> None:
        """Goes on with somebody's steps, who yields how long until the next one."""
        wait_s = next(steps, None)
        if wait_s is not None:
            self.at(self.now + wait_s, self.follow, steps)

    def run_next(self) -> None:
        """Lets the next event take place."""
        self.now, _, action, arguments = heapq.heappop(self._events)
        action(*arguments)


@dataclass(eq=False, slots=True)
class Process:
    """A predictor's process: what it does with a request."""

    running: bool = True
    frozen: bool = False
    vanished: bool = False
    """Whether it is not to be reached; it counts as frozen too."""
    fails: bool = False
    stalls: bool = False
    factor: float = 1.0
    occupied_until_s: list[float] = field(default_factory=list)
    """A heap: when each of its slots in use is free again."""
    unread: list[tuple["Request", int]] = field(default_factory=list)
    """What came while it was frozen or stalled, with the number of the attempt."""
    overdue: list[tuple["Request", int]] = field(default_factory=list)
    """What it would have answered while it was frozen."""

    def serve(self, now: float, service_time_s: float, capacity: int) -> float:
        """Takes a request, once a slot is free; returns when it will be answered."""
        slots = self.occupied_until_s
        while slots and slots[0] <= now:
            heapq.heappop(slots)
        begins_s = now if len(slots) < capacity else heapq.heappop(slots)
        ends_s = begins_s + service_time_s * self.factor
        heapq.heappush(slots, ends_s)
        return ends_s


@dataclass(eq=False, slots=True)
class Request:
    """One client's request, and where it has been."""

    sent_at_s: float
    tried: list[Predictor] = field(default_factory=list)
    may_have_run: int = 0
    """Ended attempts in which it may have run."""
    failed_at: list[Predictor] = field(default_factory=list)
    attempt: int = 0
    began_s: float = 0.0
    """When this attempt did."""
    counted: bool = False


@dataclass(eq=False, slots=True)
class _Check:
    """The health checks of one predictor."""

    in_a_row: int = 0
    """Passes; below 0, failures."""
    number: int = 0
    begun_s: float = 0.0
    waits: bool = False
    """Whether it waits for the answer of a frozen process."""


class DeploymentModel:
    """The topology of a scenario under a router, from `clock.now` on; and what became of the requests that count."""

    def __init__(self, scenario: FaultScenario, clock: Clock, rng: random.Random) -> None:
        self.predictors = {name: Predictor(name, slots, role) for name, slots, role in scenario.predictors}
        everyone = list(self.predictors.values())
        self.router = RouterModel(everyone, scenario.hold_down_s, scenario.deadline_s)
        self.processes = {each: Process(running=each.up) for each in everyone}
        self.unfinished = 0
        """Requests that count and are still in flight."""
        self._scenario, self._clock = scenario, clock
        self._serves_from_s = -math.inf
        self._lost = self._delayed = 0
        self._max_sent = MAX_SENT if scenario.resend else 1
        self._checks = {each: _Check() for each in everyone}
        self._in_flight: dict[Predictor, list[Request]] = {each: [] for each in everyone}
        self._answered_s = dict.fromkeys(everyone, -math.inf)
        self._slowest_s = dict.fromkeys(everyone, 0.0)
        for each in everyone:
            clock.at(clock.now + rng.uniform(0.0, PROBE_INTERVAL_S), self._probe, each, 0)
        clock.at(clock.now + rng.uniform(0.0, TICK_S), self._tick)

    @property
    def cost(self) -> Cost:
        """What became of the requests that count."""
        return Cost(self._lost, self._delayed)

    def send(self, counted: bool) -> None:
        """A client sends a request now."""
        request = Request(self._clock.now)
        if counted:
            self._count(request)
        if self._clock.now < self._serves_from_s:
            self._clock.at(self._serves_from_s, self._place, request)
        else:
            self._place(request)

    def count_in_flight(self) -> None:
        """Has the requests count that are in flight now."""
        for request in itertools.chain.from_iterable(self._in_flight.values()):
            self._count(request)

    def start(self, predictor: Predictor) -> None:
        """Starts its process anew: it serves at once."""
        self.processes[predictor] = Process()

    def kill(self, predictors: list[Predictor]) -> None:
        """Ends processes and what is in flight there; each broken connection has the router check their health."""
        broken = [(request, predictor) for predictor in predictors for request in self._in_flight[predictor]]
        for predictor in predictors:
            self.processes[predictor].running = False
        for request, predictor in broken:
            self._end_attempt(request, predictor)
        for predictor in dict.fromkeys(predictor for _, predictor in broken):
            self._probe(predictor, self._checks[predictor].number)
        for request, predictor in broken:
            self._failed(request, predictor)

    def kill_router(self) -> None:
        """Ends the router with all that it has in flight; the one that takes over knows the rest."""
        for predictor, requests in self._in_flight.items():
            for request in requests.copy():
                self._end_attempt(request, predictor)
                self._lose(request)
        self._serves_from_s = self._clock.now + TAKE_OVER_S

    def freeze(self, predictor: Predictor) -> None:
        """Stops its process where it stands; what is in flight there is waited for as long as the router allows."""
        self.processes[predictor].frozen = True
        for request in self._in_flight[predictor]:
            self._limit(request, predictor)

    def vanish(self, predictor: Predictor) -> None:
        """Takes its host away: what is in flight there is never answered, and waited for as if it were frozen."""
        self.processes[predictor].vanished = True
        for request in self._in_flight[predictor]:
            request.attempt += 1  # its answer finds another number
        self.freeze(predictor)

    def thaw(self, predictor: Predictor) -> None:
        """Lets it go on: it answers what is overdue, reads what has come, and passes the health check that waits."""
        process, check = self.processes[predictor], self._checks[predictor]
        process.frozen = False
        for request, attempt in process.overdue:
            self._answer(request, attempt)
        for request, attempt in process.unread:
            ends_s = process.serve(self._clock.now, self._scenario.service_time_s, predictor.capacity)
            self._clock.at(ends_s, self._answer, request, attempt)
        process.overdue, process.unread = [], []
        if check.waits:
            self._probed(predictor, check.number, True)

    def end_stall(self, predictor: Predictor) -> None:
        """Lets it predict again; what has waited there fails."""
        process = self.processes[predictor]
        waiting, process.unread, process.stalls = process.unread, [], False
        for request, attempt in waiting:
            self._time_out(request, attempt, predictor)

    def _count(self, request: Request) -> None:
        request.counted = True
        self.unfinished += 1

    def _place(self, request: Request, reserved: Predictor | None = None) -> None:
        """Sends the request to the predictor where a slot is reserved, or that the router chooses; else it is lost."""
        predictor = reserved or self.router.choose(self._clock.now, request.tried)
        while predictor is not None:
            request.tried.append(predictor)
            if self.processes[predictor].running:
                self._attempt(request, predictor)
                return
            self.router.release(predictor, self._clock.now)  # refused, never sent
            self.router.eject(predictor, self._clock.now)
            predictor = self.router.choose(self._clock.now, request.tried)
        self._lose(request)

    def _attempt(self, request: Request, predictor: Predictor) -> None:
        process, now = self.processes[predictor], self._clock.now
        request.attempt += 1
        request.began_s = now
        self._in_flight[predictor].append(request)
        if process.vanished:
            self._clock.at(now + CONNECT_TIMEOUT_S + SLACK_S, self._not_connected, request, request.attempt, predictor)
        elif process.frozen or process.stalls:
            process.unread.append((request, request.attempt))
            self._limit(request, predictor)
        elif process.fails:
            self._end_attempt(request, predictor)
            self._failed(request, predictor)
        else:
            ends_s = process.serve(now, self._scenario.service_time_s, predictor.capacity)
            self._clock.at(ends_s, self._answer, request, request.attempt)
            if ends_s - now > (self._scenario.deadline_s - (now - request.sent_at_s)) / 2:
                self._limit(request, predictor)

    def _limit(self, request: Request, predictor: Predictor) -> None:
        """Has the attempt end with the request's deadline, or half way to it where another could still be asked."""
        left_s = request.sent_at_s + self._scenario.deadline_s - request.began_s
        if request.may_have_run + 1 < self._max_sent and self.router.has_free_slot(self._clock.now, request.tried):
            left_s /= 2
        self._clock.at(
            max(self._clock.now, request.began_s + left_s), self._time_out, request, request.attempt, predictor
        )

    def _answer(self, request: Request, attempt: int) -> None:
        """Its predictor is done with it; a frozen one answers once it goes on."""
        if request.attempt != attempt:
            return
        predictor = request.tried[-1]
        process = self.processes[predictor]
        if process.frozen:
            process.overdue.append((request, attempt))
            return
        self._end_attempt(request, predictor)
        self._settle(request, blame=True)
        self.router.answered(predictor)
        self._answered_s[predictor] = self._clock.now
        self._slowest_s[predictor] = max(self._slowest_s[predictor], self._clock.now - request.began_s)
        if request.counted:
            self.unfinished -= 1
            self._delayed += self._clock.now - request.sent_at_s > self._scenario.late_after_s

    def _not_connected(self, request: Request, attempt: int, predictor: Predictor) -> None:
        """The request was never sent, and goes to another predictor; the failure counts against this one."""
        if request.attempt == attempt:
            self._end_attempt(request, predictor)
            request.failed_at.append(predictor)
            predictor.pending += 1
            self._place(request)

    def _time_out(self, request: Request, attempt: int, predictor: Predictor) -> None:
        """The attempt fails, unless it has ended before."""
        if request.attempt == attempt:
            self._end_attempt(request, predictor)
            self._failed(request, predictor)

    def _end_attempt(self, request: Request, predictor: Predictor) -> None:
        request.attempt += 1  # what is still to come of it finds another number
        self._in_flight[predictor].remove(request)
        self.router.release(predictor, self._clock.now)

    def _failed(self, request: Request, predictor: Predictor) -> None:
        """A 5xx, a broken connection or no answer in time: another predictor is asked, if it may and can be."""
        request.may_have_run += 1
        request.failed_at.append(predictor)
        predictor.pending += 1
        in_time = self._clock.now < request.sent_at_s + self._scenario.deadline_s
        if request.may_have_run < self._max_sent and in_time:
            self._place(request)
        else:
            self._lose(request)

    def _lose(self, request: Request) -> None:
        self._settle(request, blame=len(request.failed_at) == 1)
        if request.counted:
            self.unfinished -= 1
            self._lost += 1

    def _settle(self, request: Request, blame: bool) -> None:
        for predictor in request.failed_at:
            predictor.pending -= 1
            if blame:
                self.router.answer_failed(predictor, self._clock.now)

    def _probe(self, predictor: Predictor, number: int) -> None:
        """Sends a health check, unless another one has been sent in its place."""
        check, process = self._checks[predictor], self.processes[predictor]
        if check.number != number:
            return
        check.begun_s = self._clock.now
        check.number += 1
        if process.running and process.frozen:
            check.waits = True
            self._clock.at(self._clock.now + PROBE_TIMEOUT_S, self._probed, predictor, check.number, False)
        else:
            self._probed(predictor, check.number, process.running)

    def _probed(self, predictor: Predictor, number: int, passed: bool) -> None:
        check = self._checks[predictor]
        if check.number != number:
            return
        check.waits = False
        check.number += 1  # its timeout finds another number
        check.in_a_row = max(check.in_a_row, 0) + 1 if passed else min(check.in_a_row, 0) - 1
        if check.in_a_row >= RISE:
            self.router.readmit(predictor, self._clock.now)
        elif not passed and (check.in_a_row <= -FALL or not self.processes[predictor].running):
            self.router.eject(predictor, self._clock.now)
            self._redispatch(predictor)
        self._clock.at(max(self._clock.now, check.begun_s + PROBE_INTERVAL_S), self._probe, predictor, check.number)

    def _redispatch(self, predictor: Predictor) -> None:
        """Has the requests that wait on it go to others, as far as these have free slots."""
        for request in self._in_flight[predictor].copy():
            if request.may_have_run + 1 >= self._max_sent:
                continue
            other = self.router.choose(self._clock.now, request.tried)
            if other is None:
                continue  # it may still be answered where it is
            self._end_attempt(request, predictor)
            request.may_have_run += 1
            self._place(request, other)

    def _tick(self) -> None:
        self.router.tick(self._clock.now)
        self._look_for_stalls()
        self._clock.at(self._clock.now + TICK_S, self._tick)

    def _look_for_stalls(self) -> None:
        """Has the requests go elsewhere that wait on one that answers nothing, though others do."""
        now = self._clock.now
        for predictor in self.router.rotation.copy():
            since_s = predictor.suspect_since_s
            if since_s is None:
                oldest_s = min((each.began_s for each in self._in_flight[predictor]), default=math.inf)
                since_s = max(oldest_s, self._answered_s[predictor])
                if now - since_s <= self._patience_s(predictor) or not self._others_answer(predictor, since_s):
                    continue
            self.router.suspect(predictor, since_s, now)
            self._redispatch(predictor)

    def _patience_s(self, predictor: Predictor) -> float:
        slowest_s = self._slowest_s[predictor] or max(self._slowest_s.values())
        return max(PATIENCE * slowest_s, LEAST_PATIENCE_S)

    def _others_answer(self, predictor: Predictor, since_s: float) -> bool:
        return any(self._answered_s[each] > since_s for each in self.router.rotation if each is not predictor)
