"""What a fault is, and what it acts upon. Each fault has a file of its own; the registry is in __init__.py."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from experiments.failover.records import DomainPlan
from experiments.testbed.processes import Child
from experiments.testbed.signals import StopRequest

ROUTER = "router"


class SkippedError(Exception):
    """The fault cannot be injected into this topology; the text says why."""


class FaultTarget(Protocol):
    """What a fault can do to a rig: the methods of experiments.testbed.deployment.Rig that faults use."""

    def predictor(self, name: str) -> Child: ...  # noqa: D102
    def expect_exit(self, name: str) -> Child: ...  # noqa: D102
    def start_predictors(self, names: list[str], stop: StopRequest) -> None: ...  # noqa: D102
    def stop_router(self) -> None: ...  # noqa: D102
    def start_router(self, stop: StopRequest) -> None: ...  # noqa: D102
    def order(self, name: str, order: str) -> None: ...  # noqa: D102
    def set_fault(self, name: str, fault: dict[str, object]) -> None: ...  # noqa: D102
    def state_of(self, name: str) -> str | None: ...  # noqa: D102


class ExtraLoad(Protocol):
    """Load beside the steady one, made ready before a fault and let go at its moment."""

    def prepare(self, kind: str, rate_per_s: float, duration_s: float) -> None: ...  # noqa: D102
    def go(self) -> None: ...  # noqa: D102
    def end(self) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class FaultContext:
    """Where a fault takes place."""

    deployment: FaultTarget
    plan: DomainPlan
    load: ExtraLoad
    stop: StopRequest
    note: Callable[[str, str], None]
    """Records an action and its target."""
    rate_per_s: float
    """The steady load."""
    repair_after_s: float
    """The operator's delay."""


class Fault:
    """One kind of fault: as it stands here, the control, in which nothing is done."""

    name: ClassVar[str]
    what: ClassVar[str]
    """What is done, in one sentence without a full stop."""
    is_control: ClassVar[bool] = False
    """Whether nothing is done: what is lost then is the rig's own."""
    planned: ClassVar[bool] = False
    """Whether it is an operator's planned work, not a failure."""
    of_load: ClassVar[bool] = False
    """Whether the load is what is unusual, not a process."""
    lasts: ClassVar[bool] = True
    """Whether it goes on until the operator's repair; else `inject` returns when it is over."""

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """The predictors that it hits: a random active one. Raises SkippedError."""
        return [rng.choice(plan.actives)]

    def prepare(self, context: FaultContext) -> None:
        """Make ready what takes time, before the fault's moment."""

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Do it."""

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Undo it, as an operator would; afterwards all is as before."""


class LoadFault(Fault, ABC):
    """Load of some kind beside the steady one, for the length of the operator's delay: only the load changes."""

    of_load = True
    kind: ClassVar[str]
    """What its requests are, as they are recorded."""

    @abstractmethod
    def rate(self, context: FaultContext) -> float:
        """Its requests per second."""

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """Nobody."""
        return []

    def prepare(self, context: FaultContext) -> None:
        """Have its senders ready."""
        context.load.prepare(self.kind, self.rate(context), context.repair_after_s)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Let them send."""
        context.load.go()

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """See them gone."""
        context.load.end()


class SwitchedFault(Fault):
    """A fault that the real predictor has built in, switched on and off from outside."""

    switch: ClassVar[dict[str, object]]
    """What the predictor is told."""

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Switch it on."""
        for name in targets:
            context.deployment.set_fault(name, self.switch)

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Switch it off."""
        for name in targets:
            context.deployment.set_fault(name, {})
