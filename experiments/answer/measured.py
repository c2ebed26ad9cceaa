"""What a failover run says about the answer's inputs, as plain figures; failover reads them off its records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiments.answer.inputs import Input
from experiments.theory.first_failure import Spread


@dataclass(frozen=True)
class EdgeLosses:
    """What faults cost a deployment at their edges: beside what too few slots refuse meanwhile. One value per fault."""

    lost: tuple[float, ...]
    """Requests lost, per request in flight (erlang) that the run offered."""
    delayed: tuple[float, ...]
    """Requests delayed, likewise."""


@dataclass(frozen=True)
class OneDown:
    """What a deployment refused while one predictor was down, beside Erlang B."""

    deployment: str
    """The deployment's name, as the answer has it."""
    topology: str
    """The topology's name in the run."""
    load: str
    """The load's name."""
    faults: int
    """How often a predictor was out."""
    slots: int
    """Those that were left."""
    sent: int
    """Requests sent while it was out; of a cold standby's topology until that served."""
    refused: int
    """Those of them that got no good answer."""
    low: float
    """The refused share's 95 % interval: its lower end."""
    high: float
    """Its upper end."""
    erlang_b: float
    """The share by the formula, at the rate that was sent."""
    fault: str
    """The fault whose losses stand beside theory: a crash where there was one."""
    struck: int
    """How often it struck."""
    lost_per_fault: float
    """Requests lost each time, its edges included."""
    predicted: Spread | None
    """The sum over as many faults by simulation; null where theory has no figure."""
    measured: int
    """The measured sum."""

    @property
    def formula_holds(self) -> bool:
        """Whether the formula's share lies in the measured one's interval."""
        return self.low <= self.erlang_b <= self.high


@dataclass(frozen=True)
class Measured:
    """What one run measured."""

    run: str
    """The run folder, as the user would type it."""
    inputs: Mapping[str, Input]
    """The inputs that it measured, by name."""
    edges: Mapping[str, EdgeLosses] = field(default_factory=dict)
    """Deployment, by its name -> what faults cost at their edges."""
    one_down: tuple[OneDown, ...] = ()
    """Its check of the formula."""
    queues: str = ""
    """Why Erlang B does not apply to its server, without a full stop; empty where it does."""
    server: str | None = ""
    """What `--server` names its predictors; empty where they are the rig's own, None where its topologies name them."""
