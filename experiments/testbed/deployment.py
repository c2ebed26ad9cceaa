"""The deployment of one topology: its predictors and its router as processes, on free ports, for one run."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Self

from cli import CommandError, option_words
from experiments.testbed.cold_standbys import ColdStandbyOperator
from experiments.testbed.hosts import Hosts
from experiments.testbed.json_http import get_json, post_json
from experiments.testbed.other_router import OtherRouter
from experiments.testbed.own_router import OwnRouter
from experiments.testbed.processes import Process, stop_all
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.router import HOST, Router
from experiments.testbed.servers.fronts import Fronts
from experiments.testbed.servers.hooks import leave_all
from experiments.testbed.servers.model_servers import Command, command_of, is_own, places_of, servers_of
from experiments.testbed.servers.predictors import Predictors
from experiments.testbed.servers.probes import check_health, connects_to_nobody, health_is_silent, port_refuses
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import Topology

EVERYWHERE = "0.0.0.0"  # noqa: S104  (a network namespace is no network)

PROVEN_WITHIN_S = 1.0
"""So soon after a fault has struck, its effect must be seen."""


class Deployment:
    """The predictors and the router of one topology; a context that stops whatever it started."""

    def __init__(
        self,
        topology: Topology,
        programs: Programs,
        settings: DeploymentSettings,
        folder: Path,
        note: Callable[[str, str], object] = lambda *_: None,
        hosts: Hosts | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`folder` gets the topology's copy and the processes' logs; `hosts` are those of the predictors.

        `note` is told, from a thread of its own, of cold standbys that the operator starts or has stopped: what was
        done, and the predictor; `tell`, in a line, what a start that goes on for long waits for.
        """
        self.topology = topology
        self.programs = programs
        self.folder = folder
        self.server = settings.server
        self._settings = settings
        self._tell = tell
        self._servers = servers_of(topology, settings.server)
        self.hosts = hosts or Hosts()
        self._places = places_of(topology, self._servers, HOST, self.hosts.addresses)
        logs = self.folder / "logs"
        self._fronts: Fronts | None = None
        if settings.sidecars:
            self._fronts = Fronts(self._servers, self._places, HOST, programs.root, logs)
        self._predictors = Predictors(
            self._servers, self._places, self._command_of, self._own_is_ready, logs, self._fronts, self.hosts.beside
        )
        self._struck_before: dict[str, dict[str, int]] = {}
        self._cold_running: set[str] = set()
        self.router = self._make_router()
        self.url, self.admin_url, self.state = self.router.url, self.router.admin_url, self.router.state
        self._operator = ColdStandbyOperator(topology.cold(), self.state, self._start_cold, self._stop_cold, note)

    @property
    def load_options(self) -> dict[str, object]:
        """The options that have a load send the server file's payload, or the one for the rig's own; none: GET."""
        if self.server.file:
            return {"--server": self.server.file.resolve()}
        return {"--payload": self._settings.payload} if self._settings.payload else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._operator.end()
        stop_all([*self.router.processes(), *self._predictors.children()])
        with suppress(CommandError) if kind is not None else nullcontext():  # the first error is the one to be told
            leave_all(self._predictors.hooked())

    def start(self, stop: StopRequest) -> None:
        """Starts the predictors, then the router, and waits until each serves. Raises CommandError.

        Cold standbys are started from then on, whenever the router wants one.
        """
        cold = self.topology.cold()
        self.start_predictors([name for name in self.topology.predictors if name not in cold], stop)
        self.start_router(stop)
        self._operator.begin()

    def start_predictors(self, names: Sequence[str], stop: StopRequest) -> None:
        """Starts these predictors and waits until each serves. Raises CommandError."""
        for name in names:
            stop.check()  # a start by a hook may take long
            self._predictors.start(name)
        self._predictors.wait_until_ready(names, stop, self._settings.load_time_s)

    def start_router(self, stop: StopRequest) -> None:
        """Starts the router and waits until it serves. Raises CommandError."""
        self.router.start({name: self.address(name) for name in self._places}, stop)

    def can(self, name: str, *actions: str) -> bool:
        """Whether all this (of server_file.HOOKS) can be done to the predictor: by signals, or by its hooks."""
        return self._predictors.can(name, *actions)

    def expect_exit(self, name: str) -> Process:
        """The predictor's process, for a caller that ends it: until it is started again, it may be dead."""
        return self._predictors.expect_exit(name)

    def use_next(self, name: str) -> None:
        """From its next start on the predictor is the version that its server file names as the next, if one is."""
        self._predictors.use_next(name)

    def kill(self, names: Sequence[str]) -> None:
        """Kills these predictors' processes at the same moment (SIGKILL), and waits for their ends."""
        self._predictors.kill(names)

    def predictor(self, name: str) -> Process:
        """The predictor's process."""
        return self._predictors[name]

    def why_not_refused(self, name: str, within_s: float = PROVEN_WITHIN_S) -> str:
        """Why its end is not proven: within this time its port, and a sidecar's, must refuse. Empty where they do."""
        place = self._places[name]
        for host, port in dict.fromkeys((self.address(name), (place.host, place.ports[0]))):
            if not port_refuses(host, port, within_s):
                return f"port {port} of {name} still takes connections after {within_s:g} s"
        return ""

    def why_not_gone(self, name: str, for_s: float = PROVEN_WITHIN_S) -> str:
        """Why its host is not proven to be gone: for this time its port must not answer. Empty where it is proven."""
        if connects_to_nobody(*self.address(name), for_s):
            return ""
        return f"the host of {name} takes or refuses connections within {for_s:g} s"

    def why_not_silent(self, name: str, for_s: float = PROVEN_WITHIN_S) -> str:
        """Why its hang is not proven: for this time its health check must get no answer. Empty where it gets none."""
        if health_is_silent(self._servers[name], *self.address(name), for_s):
            return ""
        return f"the health check of {name} is answered or refused within {for_s:g} s"

    def has_sidecar(self, name: str) -> bool:
        """Whether one stands in front of the predictor, which takes its faults."""
        return self._fronts is not None and name in self._fronts

    def set_fault(self, name: str, fault: dict[str, Any]) -> None:
        """Switches a fault of the predictor's answers on; {} ends it. Raises CommandError."""
        self._struck_before[name] = self._struck(name)
        with self.hosts.beside(name):
            post_json(f"{self._control_url(name)}/fault", fault)

    def has_struck(self, name: str, fault: str) -> bool:
        """Whether the fault of that name has met a prediction since it was set."""
        return self._struck(name).get(fault, 0) > self._struck_before[name].get(fault, 0)

    def _struck(self, name: str) -> dict[str, int]:
        """How many predictions each fault has met; empty where nothing answers that."""
        with self.hosts.beside(name):
            state = get_json(f"{self._control_url(name)}/fault") or {"struck": {}}
        return {fault: int(count) for fault, count in state["struck"].items()}

    def require_alive(self) -> None:
        """Raises CommandError when the router, or a predictor whose exit is not expected, has ended."""
        self._operator.require_well()
        self.router.require_alive()
        self._predictors.require_alive()

    def address(self, name: str) -> tuple[str, int]:
        """Host and port by which the router finds the predictor."""
        if self._fronts is not None and name in self._fronts:
            return self._fronts.address(name)
        place = self._places[name]
        return place.host, place.ports[0]

    def _make_router(self) -> Router:
        settings, file = self._settings, self._settings.router.file
        if file is None:
            are_cold_running = lambda: bool(self._cold_running)  # noqa: E731
            return OwnRouter(self.topology, self.programs, settings, self.folder, are_cold_running)
        return OtherRouter(file, self.topology, self._servers, settings, self.folder, self._are_well, self._tell)

    def _are_well(self) -> bool:
        """Whether every predictor's health check passes, asked directly."""
        return all(
            check_health(server, *self.address(name), server.health_timeout_s).is_good
            for name, server in self._servers.items()
        )

    def _control_url(self, name: str) -> str:
        """Where its faults are set."""
        if self._fronts is not None and name in self._fronts:
            return f"http://{HOST}:{self._fronts.control_port(name)}"
        return f"http://{HOST}:{self._places[name].ports[0]}"

    def _command_of(self, name: str) -> Command:
        """What starts the predictor. Raises UsageError for a program that is not to be found."""
        server, place = self._servers[name], self._places[name]
        if not is_own(server):
            command = command_of(server, place)
            return command if self._fronts is None else self._fronts.in_front_of(name, command)
        options = {
            "--host": HOST if place.host == HOST else EVERYWHERE,  # on loopback too: there its faults are set
            "--port": place.ports[0],
            "--service-time": self._settings.service_time_s,
            "--capacity": self.topology.capacities(self._settings.threshold)[name],
        }
        if self._settings.service_time_per_mb_s:
            options["--service-time-per-mb"] = self._settings.service_time_per_mb_s
        if self._settings.load_time_s:
            options["--load-time"] = self._settings.load_time_s
        flags = ["--fault-control"] if self._settings.fault_control else []
        return Command([*self.programs.predictor(name), *option_words(options), *flags], None, self.folder)

    def _start_cold(self, name: str) -> bool:
        """Starts it unless it runs; returns whether it did."""
        if name in self._cold_running:
            return False
        self._predictors.start(name)
        self._cold_running.add(name)
        return True

    def _stop_cold(self, name: str) -> bool:
        """Stops it if it runs; returns whether it did."""
        if name not in self._cold_running:
            return False
        self.expect_exit(name).stop()
        self._cold_running.discard(name)
        return True

    def _own_is_ready(self, name: str) -> bool:
        host, port = self.address(name)
        answer = get_json(f"http://{host}:{port}/health")
        return answer is not None and answer.get("predictor") == name
