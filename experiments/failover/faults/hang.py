"""A predictor stops answering, with its connections open."""

from experiments.failover.faults.base import Fault, Scene


class Hang(Fault):
    """SIGSTOP, and SIGCONT to clear it."""

    name = "hang"
    what = "an active predictor's process is frozen (SIGSTOP): it takes connections and answers nothing, until SIGCONT"

    def inject(self, scene: Scene, targets: list[str]) -> None:
        """Freeze the processes."""
        for name in targets:
            scene.rig.predictor(name).freeze()

    def clear(self, scene: Scene, targets: list[str]) -> None:
        """Let them go on."""
        for name in targets:
            scene.rig.predictor(name).thaw()
