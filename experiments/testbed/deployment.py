"""The deployment of one topology: its predictors and its router as processes, on free ports, for one run."""

import http.client
import json
import sys
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from cli import CommandError, option_words
from experiments.options import DEFAULT_ENGINE
from experiments.testbed.cold_standbys import ColdStandbyOperator
from experiments.testbed.hosts import Hosts
from experiments.testbed.ports import free_ports
from experiments.testbed.processes import Process, stop_all, wait_until_ready
from experiments.testbed.router import Router
from experiments.testbed.servers.fronts import Fronts
from experiments.testbed.servers.hooks import leave_all
from experiments.testbed.servers.model_servers import Command, command_of, is_own, places_of, servers_of
from experiments.testbed.servers.predictors import Predictors
from experiments.testbed.servers.probes import connects_to_nobody, health_is_silent, port_refuses
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import Topology
from server_file import OWN, Server

HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104  (a network namespace is no network)
HTTP_TIMEOUT_S = 2.0

PROVEN_WITHIN_S = 1.0
"""So soon after a fault has struck, its effect must be seen."""

LEAST_DEADLINE_S = 10.0
"""The router's deadline, or four service times: the router's first attempt has half of it."""

WHOLE = {"active": {"serving"}, "standby": {"serving", "standby", "cold"}}
"""Role -> the states of a predictor of which nothing is missing, whoever serves."""

ANY_NAME = "import sys; sys.path.insert(0, sys.argv.pop(1)); from model_server import main; main(sys.argv.pop(1), 0)"
"""The program of a predictor that has none of its own: what predictors/predict1.py does, for any name."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Reaches this machine without a proxy."""


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
    """The router's hold-down; None for its own default."""
    fault_control: bool = False
    """Whether the rig's own predictors let an experiment make them slow, failing or silent."""
    engine: str = DEFAULT_ENGINE
    """The router's engine."""
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
    """Whether the router has a supervisor, and so a spare process that takes over."""


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
    ) -> None:
        """`folder` gets the topology's copy and the processes' logs; `hosts` are those of the predictors.

        `note` is told, from a thread of its own, of cold standbys that the operator starts or has stopped: what was
        done, and the predictor.
        """
        self.topology = topology
        self.programs = programs
        self.folder = folder
        self.server = settings.server
        self._settings = settings
        self._servers = servers_of(topology, settings.server)
        self.hosts = hosts or Hosts()
        self._places = places_of(topology, self._servers, HOST, self.hosts.addresses)
        port, admin_port = free_ports(2)
        logs = self.folder / "logs"
        self._fronts: Fronts | None = None
        if settings.sidecars:
            self._fronts = Fronts(self._servers, self._places, HOST, programs.root, logs)
        self._predictors = Predictors(
            self._servers, self._places, self._command_of, self._own_is_ready, logs, self._fronts, self.hosts.beside
        )
        self._struck_before: dict[str, dict[str, int]] = {}
        self._router: Router | None = None
        self._cold_running: set[str] = set()
        self._operator = ColdStandbyOperator(topology.cold(), self.state, self._start_cold, self._stop_cold, note)
        self.url = f"http://{HOST}:{port}"
        self.admin_url = f"http://{HOST}:{admin_port}"

    @property
    def load_options(self) -> dict[str, object]:
        """The options that have a load send the server file's payload, or the one for the rig's own; none: GET."""
        if self.server.file:
            return {"--server": self.server.file.resolve()}
        return {"--payload": self._settings.payload} if self._settings.payload else {}

    @property
    def router(self) -> Router:
        """The router, once it is started."""
        if self._router is None:
            raise RuntimeError("the router is not started")
        return self._router

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._operator.end()
        router = [self._router] if self._router is not None else []
        stop_all([*router, *self._predictors.children()])
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
        copy = self.folder / "topology" / f"{self.topology.name}.json"
        self.topology.write_copy(copy, {name: self.address(name) for name in self._places})
        options = {
            "--engine": self._settings.engine,
            "--topology": copy,
            "--host": HOST,
            "--port": self.url.rpartition(":")[2],
            "--admin-port": self.admin_url.rpartition(":")[2],
            "--threshold": self._settings.threshold,
            "--deadline": max(LEAST_DEADLINE_S, 4 * self._settings.service_time_s, 4 * self._settings.held_s),
        }
        if self._settings.hold_down_s is not None:
            options["--hold-down"] = self._settings.hold_down_s
        if self._settings.server.file is not None:
            options["--server"] = self._settings.server.file
        chosen = {"--supervise": self._settings.supervised, "--no-resend": not self._settings.resend}
        flags = [flag for flag, is_wanted in chosen.items() if is_wanted]
        argv = [sys.executable, str(self.programs.router), *option_words(options), *flags]
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        self._router = Router(argv, logs / "router.log", self.folder, self.state)
        wait_until_ready({self._router: self._router_is_ready}, stop)

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

    def state_of(self, name: str) -> str | None:
        """The predictor's state by the router; None when the router does not answer."""
        state = self.state()
        return state["predictors"][name]["state"] if state else None

    def is_as_planned(self) -> bool:
        """Whether the router has every active serving and every standby standing by, the cold ones stopped."""
        cold = self.topology.cold()
        planned = {name: "serving" if role == "active" else "standby" for name, role in self.topology.roles().items()}
        planned |= dict.fromkeys(cold, "cold")
        return self._states() == planned and not self._cold_running

    def is_whole(self) -> bool:
        """Whether every active serves and no standby is down, drained or being started: some may serve."""
        roles, states = self.topology.roles(), self._states()
        return states is not None and all(states[name] in WHOLE[role] for name, role in roles.items())

    def has_replaced(self, names: Sequence[str]) -> bool:
        """Whether these are down by the router, and no cold standby that is wanted for them is still to come."""
        states = self._states()
        if states is None or not all(states[name] == "down" for name in names):
            return False
        return not set(states.values()) & {"wanted", "loading"}

    def promoted_standbys(self) -> list[str]:
        """The standbys that the router has in rotation now."""
        state = self.state() or {"predictors": {}}
        return [n for n, p in state["predictors"].items() if p["role"] == "standby" and p["state"] == "serving"]

    def order(self, name: str, order: str) -> None:
        """Has the router drain a predictor, or put it back (ready). Raises CommandError."""
        post_json(f"{self.admin_url}/predictors/{name}/{order}", {})

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
        if self._router is not None:
            self._router.require_alive()
        self._predictors.require_alive()

    def state(self) -> dict[str, Any] | None:
        """The router's topology now, from its admin port; None when it does not answer."""
        return get_json(f"{self.admin_url}/topology")

    def _states(self) -> dict[str, str] | None:
        """Every predictor's state by the router; None when the router does not answer."""
        state = self.state()
        return {name: str(fields["state"]) for name, fields in state["predictors"].items()} if state else None

    def address(self, name: str) -> tuple[str, int]:
        """Host and port by which the router finds the predictor."""
        if self._fronts is not None and name in self._fronts:
            return self._fronts.address(name)
        place = self._places[name]
        return place.host, place.ports[0]

    def _ports(self) -> dict[str, int]:
        """Where the router finds each predictor."""
        return {name: self.address(name)[1] for name in self._places}

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

    def _router_is_ready(self) -> bool:
        """Whether the router serves and finds every predictor of the plan as this run started it."""
        state = self.state()
        if state is None or get_json(f"{self.url}/health") is None:
            return False
        ports = {name: int(fields["port"]) for name, fields in state["predictors"].items()}
        if ports != self._ports():
            return False
        return not self._settings.supervised or (self.router.has_spare() and self.router.note_serving())


def get_json(url: str) -> dict[str, Any] | None:
    """Gets a JSON object from this machine; None when it does not answer with one in HTTP_TIMEOUT_S."""
    try:
        with _direct.open(url, timeout=HTTP_TIMEOUT_S) as answer:
            document = json.load(answer)
            return document if answer.status == HTTPStatus.OK and isinstance(document, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


def post_json(url: str, document: dict[str, Any]) -> None:
    """Posts a JSON object to this machine. Raises CommandError unless it is answered with 200."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})  # noqa: S310
    try:
        _direct.open(request, timeout=HTTP_TIMEOUT_S).close()
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"{url}: {error}") from error
