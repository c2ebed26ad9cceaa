"""Planned work: every predictor is drained, stopped, started and put back, one after the other."""

import random
import time

from cli import CommandError
from experiments.failover.faults.base import Fault, FaultContext
from experiments.failover.records import DomainPlan

LOOK_EVERY_S = 0.05
STEP_WITHIN_S = 30.0


class Upgrade(Fault):
    """Drain, stop, start, ready, of each in turn."""

    name = "upgrade"
    what = "every predictor in turn is drained, stopped, started and put back (ready), as a careful operator upgrades"
    planned = True
    lasts = False

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """All, in file order."""
        return list(plan.capacities)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Upgrade one after the other."""
        for name in targets:
            context.note("drain", name)
            context.deployment.order(name, "drain")
            _wait_for(context, name, {"drained"})
            context.deployment.expect_exit(name).stop()
            context.deployment.start_predictors([name], context.stop)
            context.deployment.order(name, "ready")
            _wait_for(context, name, {"serving", "standby"})
            context.note("ready", name)


def _wait_for(context: FaultContext, name: str, states: set[str]) -> None:
    """Wait until the router has the predictor in one of these states. Raises CommandError."""
    deadline = time.monotonic() + STEP_WITHIN_S
    while (state := context.deployment.state_of(name)) not in states:
        if time.monotonic() > deadline:
            raise CommandError(f"{name} is still {state} after {STEP_WITHIN_S:g} s: not {'/'.join(sorted(states))}")
        context.stop.wait(LOOK_EVERY_S)
