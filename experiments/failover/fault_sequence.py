"""The faults of one run: under each load in turn, one after the other."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cli import CommandError
from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import Fault, FaultContext
from experiments.failover.logs import ActionLog
from experiments.failover.records import ACTIONS, CALM, MORE, NORMAL, Action, OfferedLoad, Step, read_requests
from experiments.failover.windows import find_windows, generator_on_time
from experiments.results.store import read_rows
from experiments.testbed.progress import RunProgress
from experiments.testbed.signals import StopRequest
from experiments.testbed.steady_load import LoadPlan, SteadyLoads

SETTLE_S = 1.5
"""From a load's start to its first fault."""

LAST_ANSWER_S = 0.2
"""What the last answers of a window take beside the service time: no fault strikes while one of them is in flight."""

RANDOM_MOMENT_S = 1.0
"""A fault comes at a random moment of this length, twice the router's probing interval."""

BACK_WITHIN_S = 60.0
"""How long all may take to be as planned again, beside loading models; then the operator puts back standbys that the
load keeps promoted."""

POLL_EVERY_S = 0.1

OFFER, AGAIN = "load", "again"
"""The steps in which a load begins, and in which its faults are repeated, should any have to be."""

MOST_ROUNDS_AGAIN = 2
RECORDED_AFTER_S = 1.5
"""The load writes its records about once a second."""


def step_of(load: OfferedLoad, step: str) -> str:
    """The step under this load, for the display of progress."""
    return step if load.name == CALM else f"{load.name}: {step}"


def drawn(*what: object) -> random.Random:
    """The random numbers for this: the same in every topology of a repeat, whatever was drawn before."""
    return random.Random(" ".join(map(str, what)))


@dataclass(frozen=True)
class FaultSequence:
    """What offers the loads of a run, injects and repairs its faults, and records when."""

    context: FaultContext
    loads: SteadyLoads
    actions: ActionLog
    repeat: int
    _attempts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def run(self, progress: RunProgress) -> None:
        """Every fault of every load once; of each load then again those in whose windows the generator lagged."""
        for number, load in enumerate(self.context.settings.offered_loads):
            progress.begin(step_of(load, OFFER))
            self._offer(load, number)
            for name in load.faults:
                progress.begin(step_of(load, name))
                self._run_fault(FAULTS[name], load)
            self._repeat_lagging(load, progress)

    def _offer(self, load: OfferedLoad, number: int) -> None:
        """Raises the offered rate to this load's, and waits until nothing is missing under it."""
        settings = self.context.settings
        offered_per_s = settings.offered_loads[number - 1].rate_per_s if number else 0.0
        kind, name = (MORE, MORE) if number else (NORMAL, "")
        seed = drawn(settings.seed, self.repeat, load.name).randrange(2**31)
        self.loads.add(LoadPlan(kind, load.rate_per_s - offered_per_s, settings.pacing_s, seed), name)
        self._wait(SETTLE_S)
        self._wait_until_recovered(load)

    def _repeat_lagging(self, load: OfferedLoad, progress: RunProgress) -> None:
        for _ in range(MOST_ROUNDS_AGAIN):
            if not (lagging := self._lagging(load)):
                return
            progress.begin(step_of(load, AGAIN))
            for name in lagging:
                self._run_fault(FAULTS[name], load)

    def _run_fault(self, fault: Fault, load: OfferedLoad) -> None:
        """One fault, from its random moment to the end of its window; or why it does not apply."""
        self.actions.begin(fault.name, load.name)
        if (reason := fault.applies_to(self.context.plan)) is not None:
            self.actions.note(Step.SKIPPED, reason)
            return
        self._attempts[load.name, fault.name] += 1
        attempt = self._attempts[load.name, fault.name]
        rng = drawn(self.context.settings.seed, self.repeat, load.name, fault.name, attempt)
        moment_s, share, seed = rng.uniform(0.0, RANDOM_MOMENT_S), rng.random(), rng.randrange(2**31)
        context = replace(self.context, rate_per_s=load.rate_per_s, seed=seed)
        targets = fault.choose(context.plan, share)
        fault.prepare(context)
        self._wait(moment_s)
        injected_s = self._strike(fault, context, targets)
        self._wait_until_recovered(load)
        self.actions.note(Step.RECOVERED, "+".join(targets))
        self._wait(injected_s + context.settings.window_s - time.time())
        self.actions.note(Step.ENDED, "+".join(targets))
        self._wait(context.settings.service_time_s + LAST_ANSWER_S)

    def _strike(self, fault: Fault, context: FaultContext, targets: list[str]) -> float:
        """Injects the fault and repairs it after the operator's delay; returns when it was injected."""
        hit = "+".join(targets)
        injected_s = context.record(Step.INJECTED, hit)
        fault.inject(context, targets)
        if why := fault.why_missed(context, targets):
            self.actions.note(Step.MISSED, why)
        if fault.lasts:
            self._wait(injected_s + context.settings.repair_after_s - time.time())
        self.actions.note(Step.REPAIR, hit)
        fault.clear(context, targets)
        self.actions.note(Step.REPAIRED, hit)
        return injected_s

    def _lagging(self, load: OfferedLoad) -> list[str]:
        """The faults that have no valid window under this load yet, by the records so far."""
        self._wait(RECORDED_AFTER_S)
        folder = self.context.deployment.folder
        actions = [action for action in read_rows(Action, folder / ACTIONS) if action.load == load.name]
        found, requests = find_windows(actions, self.context.settings), read_requests(folder)
        valid = {window.fault for window in found if not window.missed and generator_on_time(window, requests)}
        return [name for name in dict.fromkeys(window.fault for window in found) if name not in valid]

    def _wait_until_recovered(self, load: OfferedLoad) -> None:
        """Waits until all is as it should be under this load. Raises CommandError.

        Under the calm one that is as planned; standbys that it keeps promoted are put back in the end. A greater load
        may need a standby for good: then no predictor may be missing. A router that tells nothing of that is restarted.
        """
        stop, within_s = self.context.stop, BACK_WITHIN_S + self.context.settings.expected_load_s
        if load.name != CALM and self.context.deployment.router.admin_url:
            wait_for(self._is_whole, "every active to serve again", stop, within_s)
        elif not stop.wait_until(self._is_as_planned, within_s, POLL_EVERY_S):
            self._put_back()
            wait_for(self._is_as_planned, "all predictors to be back as planned", stop, within_s)

    def _is_as_planned(self) -> bool:
        self._require_alive()
        return self.context.deployment.router.is_as_planned()

    def _is_whole(self) -> bool:
        self._require_alive()
        return self.context.deployment.router.is_whole()

    def _put_back(self) -> None:
        """Does what an operator would: puts standbys back that the load has promoted, or restarts another router."""
        for name in self.context.deployment.router.put_back():
            self.actions.note(Step.PUT_BACK, name)

    def _wait(self, seconds: float) -> None:
        """Waits, checking the processes. Raises CommandError."""
        self.context.stop.wait(seconds, self._require_alive)

    def _require_alive(self) -> None:
        self.loads.require_alive()
        self.context.deployment.require_alive()


def wait_for(condition: Callable[[], bool], what: str, stop: StopRequest, within_s: float = BACK_WITHIN_S) -> None:
    """Waits until the condition holds. Raises CommandError after `within_s`, with `what` it waited for."""
    if not stop.wait_until(condition, within_s, POLL_EVERY_S):
        raise CommandError(f"waited {within_s:g} s for {what}, in vain")
