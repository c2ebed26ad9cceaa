"""What a deployment is made of: where the programs are, and how they are set up."""

import sys
from dataclasses import dataclass
from pathlib import Path

from experiments.testbed.chosen_routers import FLASK, ChosenRouter
from server_file import OWN, Server

LEAST_DEADLINE_S = 10.0
"""The router's deadline, or four service times: the router's first attempt has half of it."""

ANY_NAME = "import sys; sys.path.insert(0, sys.argv.pop(1)); from model_server import main; main(sys.argv.pop(1), 0)"
"""The program of a predictor that has none of its own: what predictors/predict1.py does, for any name."""


class Programs:
    """Where the programs under test are, below the project's folder `root`; and what a predictor is (Server)."""

    def __init__(self, root: Path, server: Server = OWN) -> None:
        self.root = root
        self.server = server
        self.router = root / "router.py"
        self.locustfile = root / "locust" / "locustfile.py"
        self.steady = root / "locust" / "steady.py"
        self.topologies = root / "topology"

    def predictor(self, name: str) -> list[str]:
        """The command that starts the predictor of that name, without its options."""
        program = self.root / "predictors" / f"{name}.py"
        if name.startswith("predict") and program.is_file():
            return [sys.executable, str(program)]
        return [sys.executable, "-c", ANY_NAME, str(program.parent), name]


@dataclass(frozen=True)
class DeploymentSettings:
    """The settings of the programs."""

    service_time_s: float
    threshold: int
    hold_down_s: float | None = None
    """The hold-down of this project's router; None for its own default."""
    fault_control: bool = False
    """Whether the rig's own predictors let an experiment break their predictions."""
    router: ChosenRouter = FLASK
    """What stands in the router's place."""
    resend: bool = True
    """Whether the router sends a request again that may have run."""
    service_time_per_mb_s: float = 0.0
    """How much longer a prediction takes for each megabyte of its request's body."""
    load_time_s: float = 0.0
    """How long a predictor loads its model before it serves."""
    payload: Path | None = None
    """The JSON file that a load POSTs to the rig's own predictors; None: GET."""
    server: Server = OWN
    """What a predictor is, where the topology's entry says nothing else."""
    sidecars: bool = False
    """Whether a sidecar stands in front of each predictor that is a user's own server."""
    held_s: float = 0.0
    """How long a request holds a slot when all are held, where that is longer than the service time."""
    supervised: bool = False
    """Whether this project's router has a supervisor, and so a spare process that takes over."""

    @property
    def deadline_s(self) -> float:
        """The router's deadline of a request."""
        return max(LEAST_DEADLINE_S, 4 * self.service_time_s, 4 * self.held_s)
