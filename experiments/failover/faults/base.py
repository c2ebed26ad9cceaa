"""What a fault is, and what it acts upon. Each fault has a file of its own; the registry is in __init__.py.

Figures read what a fault is from here: nothing of the test bed is imported but for its types.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from experiments.failover.records import DomainPlan, FailoverSettings
from experiments.options import DEFAULT_ENGINE
from experiments.theory.fault_scenario import Effect

if TYPE_CHECKING:
    from experiments.testbed.deployment import Deployment
    from experiments.testbed.signals import StopRequest
    from experiments.testbed.steady_load import ExtraLoad

ROUTER = "router"

POLL_S = 0.05
"""How often it is looked whether a fault has met a prediction."""

START_S = 2.5
"""About what a predictor takes to start, beside loading its model."""


@dataclass(frozen=True)
class FaultContext:
    """What a fault acts upon."""

    settings: FailoverSettings
    plan: DomainPlan
    deployment: Deployment
    load: ExtraLoad
    stop: StopRequest
    record: Callable[[str, str], float]
    """Records an action and its target; returns the epoch second."""
    rate_per_s: float
    """The rate of the load under which it strikes."""
    seed: int
    """Of load that it adds."""


class Fault:
    """One kind of fault: as it stands here, nothing is done."""

    name: ClassVar[str]
    what: ClassVar[str]
    """What is done, in one sentence without a full stop."""
    what_behind_others: ClassVar[str] = ""
    """The same behind a router that is not this project's; empty: the same."""
    is_control: ClassVar[bool] = False
    """Whether nothing is done, for comparison."""
    planned: ClassVar[bool] = False
    """Whether it is an operator's planned work, not a failure."""
    kind: ClassVar[str] = ""
    """As what the requests that it adds are recorded; empty: it adds none."""
    effect: ClassVar[Effect | None] = None
    """What it does to the predictors that it hits, where theory can simulate it."""
    lasts: ClassVar[bool] = True
    """Whether it goes on until the operator's repair; else `inject` returns when it is over."""
    needs: ClassVar[tuple[str, ...]] = ()
    """The hooks (server_file.HOOKS) that it acts by on a predictor that is no child of the experiment."""
    on_hosts: ClassVar[bool] = False
    """Whether it needs the hosts that a topology names to be there: network namespaces."""
    by_sidecar: ClassVar[bool] = False
    """Whether a user's own server meets it by a sidecar."""

    def applies_to(self, plan: DomainPlan) -> str | None:
        """Why it cannot be injected into this topology; None when it can."""
        return None

    def effect_behind(self, router: str) -> Effect | None:
        """What it does behind the router of that name, where theory can simulate it: it knows the Flask engine's."""
        return self.effect if router == DEFAULT_ENGINE else None

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """The predictors that it hits, where it applies: an active one; none where only the load changes.

        `share`, from 0 to below 1, is where in the list it stands: the same in topologies with as many.
        """
        return [] if self.kind or self.is_control else [at_share(plan.actives, share)]

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """About how long it takes, its repair included, for the display of the time left."""
        return settings.repair_after_s if self.lasts else 0.0

    def prepare(self, context: FaultContext) -> None:
        """Makes ready what takes time, before the fault's moment."""

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Does it."""

    def why_missed(self, context: FaultContext, targets: list[str]) -> str:
        """Why it is not proven, once injected, that it struck; empty where it is, or nothing could show it."""
        return ""

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Undoes it, as an operator would; afterwards all is as before."""


def at_share(names: Sequence[str], share: float) -> str:
    """The name at this share, from 0 to below 1, of the list."""
    return names[int(share * len(names))]


def start_s(settings: FailoverSettings) -> float:
    """About how long a predictor takes to serve, once it is started."""
    return START_S + settings.expected_load_s


class LoadFault(Fault, ABC):
    """Load of some kind beside the steady one, for the length of the operator's delay: only the load changes."""

    effect: ClassVar[Effect | None] = Effect.NONE

    @abstractmethod
    def rate(self, context: FaultContext) -> float:
        """Its requests per second."""

    def prepare(self, context: FaultContext) -> None:
        """Starts its users."""
        context.load.prepare(self.kind, self.rate(context), context.settings.repair_after_s, context.seed)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Lets them send."""
        context.load.go()

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Ends them."""
        context.load.end()


class RouterFault(Fault):
    """A fault of the router itself: in place of the process that serves another does."""

    lasts = False

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """The router."""
        return [ROUTER]

    def prepare(self, context: FaultContext) -> None:
        """Waits until a spare is ready: after the fault before, another has to be started."""
        context.deployment.router.wait_for_spare(context.stop)

    def why_missed(self, context: FaultContext, targets: list[str]) -> str:
        """Another process must serve."""
        return context.deployment.router.why_not_replaced(context.stop)

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Waits until the one before it has ended."""
        context.deployment.router.wait_until_left(context.stop)


class SwitchedFault(Fault, ABC):
    """A fault of a predictor's answers: the rig's own have it built in, before a user's own stands a sidecar."""

    by_sidecar = True

    @abstractmethod
    def switch(self, context: FaultContext, target: str) -> dict[str, object]:
        """What sets it while it lasts."""

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Switches it on."""
        for name in targets:
            context.deployment.set_fault(name, self.switch(context, name))

    def why_missed(self, context: FaultContext, targets: list[str]) -> str:
        """Waits for the first prediction that it meets, no longer than it lasts."""
        within_s = context.settings.repair_after_s
        for name in targets:
            if not context.stop.wait_until(partial(context.deployment.has_struck, name, self.name), within_s, POLL_S):
                return f"no prediction reached {name} within {within_s:g} s"
        return ""

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Switches it off."""
        for name in targets:
            context.deployment.set_fault(name, {})
