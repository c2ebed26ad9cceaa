"""A predictor's process is killed; its connections break."""

from experiments.failover.faults.base import Fault, Scene


class Crash(Fault):
    """SIGKILL."""

    name = "crash"
    what = "an active predictor's process is killed (SIGKILL) and started again after the operator's delay"

    def inject(self, scene: Scene, targets: list[str]) -> None:
        """Kill the processes, all before seeing the first one gone."""
        for name in targets:
            scene.rig.take_down(name).kill()

    def clear(self, scene: Scene, targets: list[str]) -> None:
        """Start them again."""
        scene.rig.start_predictors(targets, scene.stop)
