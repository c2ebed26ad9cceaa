"""Oversize bodies among normal requests: the post's "1 GB image"."""

import random

from experiments.faults.base import Fault, Scene
from experiments.scorecard.records import OVERSIZE, DomainPlan

RATE_PER_S = 2.0


class BigInput(Fault):
    """Requests with a body of 1 GiB, far over the router's limit, beside the steady load."""

    name = "big input"
    what = f"{RATE_PER_S:g} requests/s with a body of 1 GiB come beside the normal ones, for the operator's delay"
    of_load = True

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """Nobody: only the load changes."""
        return []

    def prepare(self, scene: Scene) -> None:
        """Have their senders ready."""
        scene.load.prepare(OVERSIZE, RATE_PER_S, scene.repair_after_s)

    def inject(self, scene: Scene, targets: list[str]) -> None:
        """Let them send."""
        scene.load.go()

    def clear(self, scene: Scene, targets: list[str]) -> None:
        """See them gone."""
        scene.load.end()
