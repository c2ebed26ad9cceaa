"""A predictor takes ten times its service time; its health checks pass."""

from experiments.faults.base import Fault, Scene

FACTOR = 10.0


class Slow(Fault):
    """Service time x 10, in the real predictor."""

    name = "slow"
    what = f"an active predictor takes {FACTOR:g} times its service time; its health checks pass"

    def inject(self, scene: Scene, targets: list[str]) -> None:
        """Switch it on."""
        for name in targets:
            scene.rig.set_fault(name, {"service_time_factor": FACTOR})

    def clear(self, scene: Scene, targets: list[str]) -> None:
        """Switch it off."""
        for name in targets:
            scene.rig.set_fault(name, {})
