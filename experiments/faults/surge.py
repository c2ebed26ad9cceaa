"""The offered rate triples for a while."""

import random

from experiments.faults.base import Fault, Scene
from experiments.scorecard.records import SURGE, DomainPlan

FACTOR = 3


class Surge(Fault):
    """Twice the steady load on top of it."""

    name = "surge"
    what = f"the offered rate is {FACTOR} times as high for the length of the operator's delay"
    of_load = True

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """Nobody: only the load changes."""
        return []

    def prepare(self, scene: Scene) -> None:
        """Have the further users ready."""
        scene.load.prepare(SURGE, (FACTOR - 1) * scene.rate_per_s, scene.repair_after_s)

    def inject(self, scene: Scene, targets: list[str]) -> None:
        """Let them send."""
        scene.load.go()

    def clear(self, scene: Scene, targets: list[str]) -> None:
        """See them gone."""
        scene.load.end()
