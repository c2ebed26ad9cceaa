"""What a fault costs in theory: a deployment, its load and its operator simulated event by event. No I/O."""

import itertools
import random
from collections.abc import Iterator
from functools import lru_cache
from math import inf

from experiments.theory.checks import is_count, require
from experiments.theory.deployment_model import PROBE_INTERVAL_S, Clock, DeploymentModel
from experiments.theory.fault_scenario import Cost, Effect, FaultScenario
from experiments.theory.router_model import Predictor, Role

RANDOM_MOMENT_S = 1.0
"""A fault strikes at a random moment of this length."""

OPERATOR_POLL_S = 0.1
"""How often an operator looks at the router's state."""

STEP_POLL_S = 0.05
"""How often an operator looks who waits for a step within a fault."""

LOAD_LEAD_S = 0.3
"""From the order to the first moment at which the extra load may send."""

BACK_WITHIN_S = 60.0
"""After this an operator puts back the standbys that the load keeps promoted."""


@lru_cache(maxsize=1024)
def simulate_fault(scenario: FaultScenario, replications: int, seed: int) -> tuple[Cost, ...]:
    """Returns what the fault costs, `replications` times; the same seed gives the same costs.

    Chance has the moment of the fault, whom it hits, when each user sends, the phases of the health checks
    and how long starts take.

    Raises:
        ValueError: `replications` is no whole number from 1.
    """
    require(is_count(replications), "replications", replications, "a whole number from 1")
    return tuple(_Simulation(scenario, random.Random(f"{seed} {run}")).run() for run in range(replications))


class _Simulation:
    """One replication. The fault strikes at time 0."""

    def __init__(self, scenario: FaultScenario, rng: random.Random) -> None:
        self._scenario, self._rng = scenario, rng
        self._clock = Clock(-scenario.settled_s - rng.uniform(0.0, RANDOM_MOMENT_S))
        self._deployment = DeploymentModel(scenario, self._clock, rng)
        self._router = self._deployment.router
        self._window_end_s = inf

    def run(self) -> Cost:
        """Simulates until the window is over and its last request has ended."""
        clock, deployment, arrivals = self._clock, self._deployment, self._arrivals()
        clock.at(0.0, clock.follow, self._operate())
        if self._scenario.has_cold_standby:
            clock.at(clock.now, clock.follow, self._run_cold_standbys())
        next_s = next(arrivals)
        while clock.now < self._window_end_s or deployment.unfinished:
            if clock.next_s <= next_s:
                clock.run_next()
            else:
                clock.now = next_s
                self._send()
                next_s = next(arrivals)
        return deployment.cost

    def _send(self) -> None:
        self._deployment.send(counted=0.0 <= self._clock.now < self._window_end_s)

    def _arrivals(self) -> Iterator[float]:
        """When the steady load's users send, without end: each once per pacing, at a moment of its own."""
        from_s, pacing_s = self._clock.now, self._scenario.pacing_s
        users = max(1, round(self._scenario.rate_per_s * pacing_s))
        offsets_s = sorted(self._rng.uniform(0.0, pacing_s) for _ in range(users))
        return (from_s + turn * pacing_s + offset_s for turn in itertools.count() for offset_s in offsets_s)

    def _send_extra_load(self, until_s: float = inf) -> None:
        """Has the extra load's users send, each once, at a moment of its own, until it is ended."""
        scenario, begins_s = self._scenario, self._clock.now + LOAD_LEAD_S
        users = round((scenario.rate_factor - 1) * scenario.rate_per_s * scenario.repair_after_s)
        for _ in range(users):
            at_s = begins_s + self._rng.uniform(0.0, scenario.repair_after_s)
            if at_s < until_s:
                self._clock.at(at_s, self._send)

    def _operate(self) -> Iterator[float]:
        """The fault, its repair and the end of its window: yields how long until the next step."""
        scenario = self._scenario
        self._deployment.count_in_flight()
        names = self._rng.choice(scenario.targets) if scenario.targets else ()
        targets = [self._deployment.predictors[name] for name in names]
        if scenario.effect is Effect.UPGRADE:
            yield from self._upgrade(targets)
            self._window_end_s = self._clock.now
            return
        self._inject(targets)
        if targets and scenario.rate_factor > 1:
            yield from self._surge_once_out(targets[0])
        else:
            self._send_extra_load(until_s=self._clock.now + scenario.repair_after_s)
        yield scenario.repair_after_s
        yield self._repair(targets)
        yield from self._wait_until_recovered()
        self._window_end_s = max(scenario.window_s, self._clock.now)

    def _inject(self, targets: list[Predictor]) -> None:
        deployment = self._deployment
        if self._scenario.effect is Effect.KILL:
            deployment.kill(targets)
        elif self._scenario.effect is Effect.ROUTER_KILL:
            deployment.kill_router()
        for predictor in targets:
            process = deployment.processes[predictor]
            match self._scenario.effect:
                case Effect.CLOSE:
                    process.running = False
                case Effect.VANISH:
                    deployment.vanish(predictor)
                case Effect.FREEZE:
                    deployment.freeze(predictor)
                case Effect.SLOW:
                    process.factor = self._scenario.slow_factor
                case Effect.FAIL:
                    process.fails = True
                case Effect.STALL:
                    process.stalls = True

    def _surge_once_out(self, predictor: Predictor) -> Iterator[float]:
        """Waits until the router has taken it out; then the extra load begins."""
        while predictor.up:
            yield STEP_POLL_S
        self._send_extra_load()
        yield LOAD_LEAD_S

    def _repair(self, targets: list[Predictor]) -> float:
        """Undoes the fault; returns how long that takes."""
        takes_s = [0.0]
        for predictor in targets:
            process = self._deployment.processes[predictor]
            if not process.running or process.vanished:
                takes_s.append(self._begin_start(predictor))
            elif process.frozen:
                self._deployment.thaw(predictor)
            elif process.stalls:
                self._deployment.end_stall(predictor)
            process.factor, process.fails = 1.0, False
            if predictor.suspect_since_s is not None:  # the router asks it by itself, an interval after the last time
                asked_s = self._clock.now + self._rng.uniform(0.0, PROBE_INTERVAL_S)
                self._clock.at(asked_s + self._scenario.service_time_s, self._router.answered, predictor)
        return max(takes_s)

    def _begin_start(self, predictor: Predictor) -> float:
        """Starts its process; returns after which time it will serve."""
        takes_s = self._rng.choice(self._scenario.start_s)
        self._clock.at(self._clock.now + takes_s, self._deployment.start, predictor)
        return takes_s

    def _upgrade(self, targets: list[Predictor]) -> Iterator[float]:
        """Drains, stops, starts and puts back each in turn."""
        for predictor in targets:
            self._router.drain(predictor, self._clock.now)
            while predictor.load:
                yield STEP_POLL_S
            self._deployment.processes[predictor].running = False
            yield self._begin_start(predictor)
            self._router.ready(predictor, self._clock.now)
            while not predictor.up:
                yield STEP_POLL_S

    def _wait_until_recovered(self) -> Iterator[float]:
        """Waits until the router has all back; in the end puts back the standbys that the load keeps promoted."""
        began_s = self._clock.now
        for deadline_s in (began_s + BACK_WITHIN_S, began_s + 2 * BACK_WITHIN_S):
            while not self._has_recovered() and self._clock.now < deadline_s:
                yield OPERATOR_POLL_S
            if not self._has_recovered():
                for predictor in self._router.promoted:
                    self._put_back(predictor)

    def _put_back(self, predictor: Predictor) -> None:
        """Drains it and readies it: nothing stands against it then, and a standby waits again."""
        self._router.drain(predictor, self._clock.now)
        self._router.ready(predictor, self._clock.now)

    def _has_recovered(self) -> bool:
        return self._router.as_planned if self._scenario.until_planned else self._router.whole

    def _run_cold_standbys(self) -> Iterator[float]:
        """Starts a cold standby when it is wanted, and stops it once it has stepped back."""
        cold = [each for each in self._deployment.predictors.values() if each.role is Role.COLD]
        starting: set[Predictor] = set()
        while True:
            starting = {each for each in starting if not each.up}
            for predictor in cold:
                if predictor.up and not predictor.promoted_for:
                    self._deployment.processes[predictor].running = False
                elif not predictor.up and predictor not in starting and len(starting) < self._router.cold_wanted:
                    starting.add(predictor)
                    self._begin_start(predictor)
            yield OPERATOR_POLL_S
