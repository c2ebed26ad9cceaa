"""A deployment for faults whose predictors and router are real processes that only sleep."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil

from experiments.failover.faults.base import FaultContext
from experiments.testbed.processes import Child, kill_all
from experiments.testbed.signals import StopRequest
from tests.unit.experiments.failover.hand_written import ROLES, SETTINGS_HERE, TWO

RATE_PER_S, SEED = 40.0, 7
SLEEPER = ["/bin/sh", "-c", "echo up; exec sleep 600"]


class SleepingRouter:
    """A router that only sleeps: whose supervisor has another of its kind sleep in place of one that ends."""

    def __init__(self, sleepers: "Sleepers") -> None:
        self._sleepers = sleepers
        self.orders: list[str] = []
        self.takes_over = True

    def wait_for_spare(self, _: StopRequest) -> None:
        """Is ready."""
        self.orders.append("spare")

    def upgrade(self) -> None:
        """Has another sleep, then ends the one that slept."""
        self.orders.append("upgrade")
        self._end(self._sleepers.children["router"].stop)

    def crash(self) -> None:
        """Kills the one that sleeps."""
        self.orders.append("crash")
        self._end(self._sleepers.children["router"].kill)

    def _end(self, end: Callable[[], None]) -> None:
        end()
        if self.takes_over:
            self._sleepers.start_predictors(["router"], StopRequest())

    def why_not_replaced(self, _: StopRequest) -> str:
        """Why no other sleeps."""
        return "" if status(self._sleepers.children["router"]) != "gone" else "no other process of the router serves"

    def take_out(self, name: str, _: StopRequest) -> None:
        """Drains it."""
        self._sleepers.drained.append(name)

    def take_back(self, name: str, _: StopRequest) -> None:
        """Readies it."""
        self._sleepers.drained.remove(name)

    def wait_until_out(self, name: str, _: StopRequest) -> None:
        """Is told of it at once."""
        assert self._sleepers.state_of(name) == "down"

    def wait_until_left(self, _: StopRequest) -> None:
        """It has ended before."""
        self.orders.append("left")


class Sleepers:
    """A deployment whose predictors are real processes that only sleep, and whose router is one more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: dict[str, Child] = {}
        self.faults: dict[str, dict[str, object]] = {}
        self.drained: list[str] = []
        self.upgraded: list[str] = []
        self.sidecars = False
        self.has_struck = Mock(return_value=True)
        self.undrained_stops: list[str] = []
        self.hosts = Mock()
        self.require_alive = Mock()
        self.start_predictors([*ROLES, "router"], StopRequest())
        self.router = SleepingRouter(self)

    def predictor(self, name: str) -> Child:
        """Its process."""
        return self.children[name]

    def expect_exit(self, name: str) -> Child:
        """Its process; notes whether it was drained before."""
        if name not in self.drained:
            self.undrained_stops.append(name)
        return self.children[name]

    def kill(self, names: list[str]) -> None:
        """Kills these."""
        kill_all([self.expect_exit(name) for name in names])

    def start_predictors(self, names: list[str], stop: StopRequest) -> None:
        """Starts these anew."""
        for name in names:
            log = self.folder / f"{name}.log"
            log.unlink(missing_ok=True)
            self.children[name] = Child(name, SLEEPER, log, cwd=self.folder)
            while not log.read_text():
                stop.wait(0.01)

    def set_fault(self, name: str, fault: dict[str, object]) -> None:
        """Records the predictor's fault."""
        self.faults[name] = fault

    def use_next(self, name: str) -> None:
        """Records who is to be another version."""
        self.upgraded.append(name)

    def has_sidecar(self, _: str) -> bool:
        """Whether all have one."""
        return self.sidecars

    def why_not_refused(self, name: str) -> str:
        """As if the process were a port."""
        return "" if status(self.children[name]) == "gone" else f"{name} still takes connections"

    def why_not_gone(self, name: str) -> str:
        """As if the process were all of its host."""
        gone = status(self.children[name]) == "gone" and self.hosts.cut.called
        return "" if gone else f"{name} is there"

    def why_not_silent(self, name: str, _: float) -> str:
        """As if it had health checks."""
        return "" if status(self.children[name]) == psutil.STATUS_STOPPED else f"{name} is well"

    def state_of(self, name: str) -> str:
        """As a router would have it."""
        if name in self.drained:
            return "drained"
        if self.children[name].has_ended():
            return "down"
        return "serving" if ROLES[name] == "active" else "standby"


def context_of(deployment: Any) -> FaultContext:
    """A context with this deployment, and an extra load that records its calls."""
    return FaultContext(SETTINGS_HERE, TWO, deployment, Mock(), StopRequest(), lambda *_: 0.0, RATE_PER_S, SEED)


def status(child: Child) -> str:
    """What its process does; "gone" when it is none any more."""
    return "gone" if child.has_ended() else psutil.Process(child.pid).status()
