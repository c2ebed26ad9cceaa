"""The faults of one run, one after the other, under its steady load."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from cli import CommandError
from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import Fault, FaultContext
from experiments.failover.logs import ActionLog
from experiments.failover.records import ACTIONS, Action, Step, read_requests
from experiments.failover.windows import find_windows, generator_on_time
from experiments.results.store import read_rows
from experiments.testbed.progress import RunProgress
from experiments.testbed.signals import StopRequest
from experiments.testbed.steady_load import SteadyLoad

RANDOM_MOMENT_S = 1.0
"""A fault comes at a random moment of this length, twice the router's probing interval."""

BACK_WITHIN_S = 60.0
"""How long all may take to be as planned again; then the operator puts back standbys that the load keeps promoted."""

POLL_EVERY_S = 0.1

AGAIN = "again"
"""The step in which faults are repeated, should any have to be."""

MOST_ROUNDS_AGAIN = 2
RECORDED_AFTER_S = 1.5
"""The load writes its records about once a second."""


@dataclass(frozen=True)
class FaultSequence:
    """What injects and repairs the faults of a run, and records when."""

    context: FaultContext
    load: SteadyLoad
    actions: ActionLog
    rng: random.Random

    def run(self, progress: RunProgress) -> None:
        """Every fault once, in the settings' order; then again those in whose windows the generator lagged."""
        for name in self.context.settings.faults:
            progress.begin(name)
            self._run_fault(FAULTS[name])
        for _ in range(MOST_ROUNDS_AGAIN):
            if not (lagging := self._lagging()):
                return
            progress.begin(AGAIN)
            for name in lagging:
                self._run_fault(FAULTS[name])

    def _run_fault(self, fault: Fault) -> None:
        """One fault, from its random moment to the end of its window; or why it does not apply."""
        self.actions.begin(fault.name)
        if (reason := fault.applies_to(self.context.plan)) is not None:
            self.actions.note(Step.SKIPPED, reason)
            return
        targets = fault.choose(self.context.plan, self.rng)
        fault.prepare(self.context)
        self._wait(self.rng.uniform(0.0, RANDOM_MOMENT_S))
        hit = "+".join(targets)
        injected_s = self.context.record(Step.INJECTED, hit)
        fault.inject(self.context, targets)
        if fault.lasts:
            self._wait(injected_s + self.context.settings.repair_after_s - time.time())
        self.actions.note(Step.REPAIR, hit)
        fault.clear(self.context, targets)
        self.actions.note(Step.REPAIRED, hit)
        self._wait_until_recovered()
        self.actions.note(Step.RECOVERED, hit)
        self._wait(injected_s + self.context.settings.window_s - time.time())
        self.actions.note(Step.ENDED, hit)

    def _lagging(self) -> list[str]:
        """The faults that have no valid window yet, by the records so far."""
        self.context.stop.wait(RECORDED_AFTER_S)
        folder = self.context.deployment.folder
        found = find_windows(read_rows(Action, folder / ACTIONS), self.context.settings)
        requests = read_requests(folder)
        valid = {window.fault for window in found if generator_on_time(window, requests)}
        return [name for name in dict.fromkeys(window.fault for window in found) if name not in valid]

    def _wait_until_recovered(self) -> None:
        """Waits until all is as planned; in the end puts standbys back. Raises CommandError."""
        if not self.context.stop.wait_until(self._is_as_planned, BACK_WITHIN_S, POLL_EVERY_S):
            self._put_back()
            wait_for(self._is_as_planned, "all predictors to be back as planned", self.context.stop)

    def _is_as_planned(self) -> bool:
        self._require_alive()
        return self.context.deployment.is_as_planned()

    def _put_back(self) -> None:
        """Drains, as an operator would, the standbys that the load, not a failure, has promoted, and readies them."""
        deployment = self.context.deployment
        for name in deployment.promoted_standbys():
            self.actions.note(Step.PUT_BACK, name)
            deployment.order(name, "drain")
            deployment.order(name, "ready")

    def _wait(self, seconds: float) -> None:
        """Waits, checking the processes. Raises CommandError."""
        self.context.stop.wait(seconds, self._require_alive)

    def _require_alive(self) -> None:
        self.load.require_alive()
        self.context.deployment.require_alive()


def wait_for(condition: Callable[[], bool], what: str, stop: StopRequest) -> None:
    """Waits until the condition holds. Raises CommandError after BACK_WITHIN_S, with `what` it waited for."""
    if not stop.wait_until(condition, BACK_WITHIN_S, POLL_EVERY_S):
        raise CommandError(f"waited {BACK_WITHIN_S:g} s for {what}, in vain")
