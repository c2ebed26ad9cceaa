"""A predictor answers every request with 500; its health checks pass."""

from experiments.faults.base import Fault, Scene


class Error(Fault):
    """Answers of 500, in the real predictor."""

    name = "error"
    what = "an active predictor answers every request with 500; its health checks pass"

    def inject(self, scene: Scene, targets: list[str]) -> None:
        """Switch it on."""
        for name in targets:
            scene.rig.set_fault(name, {"fails": True})

    def clear(self, scene: Scene, targets: list[str]) -> None:
        """Switch it off."""
        for name in targets:
            scene.rig.set_fault(name, {})
