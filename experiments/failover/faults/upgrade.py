"""Planned work: every predictor is drained, stopped, started and put back, one after the other."""

import random
import time

from cli import CommandError
from experiments.failover.faults.base import Fault, Scene
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

    def inject(self, scene: Scene, targets: list[str]) -> None:
        """Upgrade one after the other."""
        for name in targets:
            scene.note("drain", name)
            scene.rig.order(name, "drain")
            _wait_for(scene, name, {"drained"})
            scene.rig.take_down(name).stop()
            scene.rig.start_predictors([name], scene.stop)
            scene.rig.order(name, "ready")
            _wait_for(scene, name, {"serving", "standby"})
            scene.note("ready", name)


def _wait_for(scene: Scene, name: str, states: set[str]) -> None:
    """Wait until the router has the predictor in one of these states. Raises CommandError."""
    deadline = time.monotonic() + STEP_WITHIN_S
    while (state := scene.rig.state_of(name)) not in states:
        if time.monotonic() > deadline:
            raise CommandError(f"{name} is still {state} after {STEP_WITHIN_S:g} s: not {'/'.join(sorted(states))}")
        scene.stop.wait(LOOK_EVERY_S)
