"""This project's router in a deployment: started with its options, and read by its admin port."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli import CommandError, option_words
from experiments.testbed.json_http import get_json, post_json
from experiments.testbed.ports import free_ports
from experiments.testbed.processes import Child, wait_until_ready
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.router import HOST, Address, Router
from experiments.testbed.router_process import RouterProcess
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import Topology

ORDERED_WITHIN_S = 30.0
"""So soon an operator's order must be carried out."""

WHOLE = {"active": {"serving"}, "standby": {"serving", "standby", "cold"}}
"""Role -> the states of a predictor of which nothing is missing, whoever serves."""


class OwnRouter(Router):
    """It tells what it does by its admin port, drains, and may have a supervisor and a spare."""

    drains = True

    def __init__(
        self,
        topology: Topology,
        programs: Programs,
        settings: DeploymentSettings,
        folder: Path,
        is_any_cold_running: Callable[[], bool],
    ) -> None:
        """`is_any_cold_running`: whether the process of a cold standby is there."""
        port, admin_port = free_ports(2)
        super().__init__(port)
        self.admin_url = f"http://{HOST}:{admin_port}"
        self._topology, self._programs, self._settings, self._folder = topology, programs, settings, folder
        self._is_any_cold_running = is_any_cold_running
        self._ports: dict[str, int] = {}
        self._started: RouterProcess | None = None

    @property
    def process(self) -> RouterProcess:
        """Its process, once it is started."""
        if self._started is None:
            raise RuntimeError("the router is not started")
        return self._started

    def start(self, addresses: Mapping[str, Address], stop: StopRequest) -> None:
        """Starts it on a copy of the topology, and waits until it finds all predictors there. Raises CommandError."""
        copy = self._folder / "topology" / f"{self._topology.name}.json"
        self._topology.write_copy(copy, addresses)
        self._ports = {name: port for name, (_, port) in addresses.items()}
        argv = [sys.executable, str(self._programs.router), *option_words(self._options(copy)), *self._flags()]
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        self._started = RouterProcess(argv, logs / "router.log", self._folder, self.state)
        wait_until_ready({self._started: self._is_ready}, stop)

    def _options(self, topology: Path) -> dict[str, object]:
        settings = self._settings
        options: dict[str, object] = {
            "--engine": settings.router.name,
            "--topology": topology,
            "--host": HOST,
            "--port": self.url.rpartition(":")[2],
            "--admin-port": self.admin_url.rpartition(":")[2],
            "--threshold": settings.threshold,
            "--deadline": settings.deadline_s,
        }
        if settings.hold_down_s is not None:
            options["--hold-down"] = settings.hold_down_s
        if settings.server.file is not None:
            options["--server"] = settings.server.file
        return options

    def _flags(self) -> list[str]:
        chosen = {"--supervise": self._settings.supervised, "--no-resend": not self._settings.resend}
        return [flag for flag, is_wanted in chosen.items() if is_wanted]

    def processes(self) -> list[Child]:
        """The router, or its supervisor."""
        return [] if self._started is None else [self._started]

    def state(self) -> dict[str, Any] | None:
        """What its admin port says of the topology; None where it does not answer."""
        return get_json(f"{self.admin_url}/topology")

    def is_as_planned(self) -> bool:
        """Whether every active serves and every standby stands by, the cold ones stopped."""
        cold = self._topology.cold()
        planned = {name: "serving" if role == "active" else "standby" for name, role in self._topology.roles().items()}
        planned |= dict.fromkeys(cold, "cold")
        return self._states() == planned and not self._is_any_cold_running()

    def is_whole(self) -> bool:
        """Whether every active serves and no standby is down, drained or being started: some may serve."""
        roles, states = self._topology.roles(), self._states()
        return states is not None and all(states[name] in WHOLE[role] for name, role in roles.items())

    def has_replaced(self, names: Sequence[str]) -> bool:
        """Whether these are down by its word, and no cold standby that is wanted for them is still to come."""
        states = self._states()
        if states is None or not all(states[name] == "down" for name in names):
            return False
        return not set(states.values()) & {"wanted", "loading"}

    def wait_until_out(self, name: str, stop: StopRequest) -> None:
        """Waits until it says so. Raises CommandError."""
        self._wait_for(name, {"down"}, stop)

    def wait_until_replaced(self, names: Sequence[str], stop: StopRequest, within_s: float) -> None:
        """Waits until it says so. Raises CommandError."""
        if not stop.wait_until(lambda: self.has_replaced(names), within_s):
            raise CommandError(f"waited {within_s:g} s for the domain to be out and replaced, in vain")

    def promoted_standbys(self) -> list[str]:
        """The standbys that it has in rotation now."""
        state = self.state() or {"predictors": {}}
        return [n for n, p in state["predictors"].items() if p["role"] == "standby" and p["state"] == "serving"]

    def put_back(self) -> Iterator[str]:
        """Drains the standbys that the load, not a failure, has promoted, and readies them. Raises CommandError."""
        for name in self.promoted_standbys():
            yield name
            self._order(name, "drain")
            self._order(name, "ready")

    def take_out(self, name: str, stop: StopRequest) -> None:
        """Drains the predictor. Raises CommandError."""
        self._order(name, "drain")
        self._wait_for(name, {"drained"}, stop)

    def take_back(self, name: str, stop: StopRequest) -> None:
        """Readies the predictor. Raises CommandError."""
        self._order(name, "ready")
        self._wait_for(name, {"serving", "standby"}, stop)

    def wait_for_spare(self, stop: StopRequest) -> None:
        """Waits until a spare is ready: after the fault before, another has to be started. Raises CommandError."""
        self.process.wait_for_spare(stop)

    def upgrade(self) -> None:
        """Has its supervisor start a process of the code as it is now, which takes over."""
        self.process.upgrade()

    def crash(self) -> None:
        """Kills the process that serves: the spare takes over."""
        self.process.crash()

    def why_not_replaced(self, stop: StopRequest) -> str:
        """Another process must serve."""
        return self.process.why_not_replaced(stop)

    def wait_until_left(self, stop: StopRequest) -> None:
        """Waits until the process that another has taken over from has ended. Raises CommandError."""
        self.process.wait_until_left(stop)

    def _order(self, name: str, order: str) -> None:
        """Raises CommandError."""
        post_json(f"{self.admin_url}/predictors/{name}/{order}", {})

    def _wait_for(self, name: str, states: set[str], stop: StopRequest) -> None:
        """Waits until the predictor is in one of these states by its word. Raises CommandError."""
        if not stop.wait_until(lambda: self._state_of(name) in states, ORDERED_WITHIN_S):
            wanted = "/".join(sorted(states))
            raise CommandError(f"{name} is still {self._state_of(name)} after {ORDERED_WITHIN_S:g} s: not {wanted}")

    def _state_of(self, name: str) -> str | None:
        return (self._states() or {}).get(name)

    def _states(self) -> dict[str, str] | None:
        """Every predictor's state; None when it does not answer."""
        state = self.state()
        return {name: str(fields["state"]) for name, fields in state["predictors"].items()} if state else None

    def _is_ready(self) -> bool:
        """Whether it serves and finds every predictor of the plan as this run started it."""
        state = self.state()
        if state is None or get_json(f"{self.url}/health") is None:
            return False
        ports = {name: int(fields["port"]) for name, fields in state["predictors"].items()}
        if ports != self._ports:
            return False
        return not self._settings.supervised or (self.process.has_spare() and self.process.note_serving())
