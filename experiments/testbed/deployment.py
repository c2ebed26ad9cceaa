"""The rig of one topology: its predictors and its router as processes, on free ports, for one run."""

import http.client
import json
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cli import CommandError
from experiments.options import DEFAULT_ENGINE
from experiments.testbed.processes import Child, free_ports, require_alive, stop_all, wait_until_ready
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import Topology

HOST = "127.0.0.1"
ASK_TIMEOUT_S = 2.0

LEAST_DEADLINE_S = 10.0
"""The router's deadline, or four service times: the router gives the first predictor asked half of it."""

ANY_NAME = "import sys; sys.path.insert(0, sys.argv.pop(1)); from model_server import main; main(sys.argv.pop(1), 0)"
"""A predictor whose name has no program of its own: what predictors/predict1.py does, for any name."""


@dataclass(frozen=True)
class Programs:
    """Where the programs under test are, below the project's folder."""

    root: Path

    @property
    def router(self) -> Path:
        """The router."""
        return self.root / "router.py"

    @property
    def locustfile(self) -> Path:
        """The swarm's users."""
        return self.root / "locust" / "locustfile.py"

    @property
    def steady(self) -> Path:
        """The steady load's users."""
        return self.root / "locust" / "steady.py"

    @property
    def topologies(self) -> Path:
        """The folder of the topologies that have a name."""
        return self.root / "topology"

    def predictor(self, name: str) -> list[str]:
        """The command that starts the predictor of that name, without its options."""
        folder = self.root / "predictors"
        if name.startswith("predict") and (folder / f"{name}.py").is_file():
            return [sys.executable, str(folder / f"{name}.py")]
        return [sys.executable, "-c", ANY_NAME, str(folder), name]


@dataclass(frozen=True)
class DeploymentSettings:
    """What the rig's programs are told."""

    service_time_s: float
    threshold: int
    hold_down_s: float | None = None
    """The router's hold-down; None for its own default."""
    fault_control: bool = False
    """Whether the predictors let an experiment make them slow or failing."""
    engine: str = DEFAULT_ENGINE
    """The router's engine."""


class Deployment:
    """The predictors and the router of one topology; a context that stops whatever it started."""

    def __init__(self, topology: Topology, programs: Programs, settings: DeploymentSettings, folder: Path) -> None:
        """`folder` gets the topology's copy and the processes' logs."""
        self._topology = topology
        self._programs = programs
        self._settings = settings
        self._folder = folder
        *predictor_ports, port, admin_port = free_ports(len(topology.predictors) + 2)
        self._predictor_ports = dict(zip(topology.predictors, predictor_ports, strict=True))
        self._predictors: dict[str, Child] = {}
        self._router: Child | None = None
        self._exits_expected: set[str] = set()
        self.url = f"http://{HOST}:{port}"
        self.admin_url = f"http://{HOST}:{admin_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        router = [self._router] if self._router is not None else []
        stop_all([*router, *self._predictors.values()])

    def start(self, stop: StopRequest) -> None:
        """Start the predictors, then the router, and wait until each serves. Raises CommandError."""
        self.start_predictors(self._topology.predictors, stop)
        self.start_router(stop)

    def start_predictors(self, names: Sequence[str], stop: StopRequest) -> None:
        """Start these predictors and wait until each serves. Raises CommandError."""
        for name in names:
            self._predictors[name] = self._start_predictor(name)
            self._exits_expected.discard(name)
        wait_until_ready({self._predictors[name]: self._serves(name) for name in names}, stop)

    def start_router(self, stop: StopRequest) -> None:
        """Start the router and wait until it serves. Raises CommandError."""
        self._router = self._start_router()
        wait_until_ready({self._router: self._routes}, stop)

    def expect_exit(self, name: str) -> Child:
        """The predictor's process, for a caller that is going to end it: from now on it may be dead."""
        self._exits_expected.add(name)
        return self._predictors[name]

    def predictor(self, name: str) -> Child:
        """The predictor's process."""
        return self._predictors[name]

    def stop_router(self) -> None:
        """Stop the router politely, and see it gone."""
        if self._router is not None:
            self._router.stop()
            self._router = None

    def state_of(self, name: str) -> str | None:
        """The predictor's state as the router has it; None when the router does not answer."""
        state = self.state()
        return state["predictors"][name]["state"] if state else None

    def is_as_planned(self) -> bool:
        """Whether the router has every active serving and every standby standing by."""
        state = self.state()
        wanted = {"active": "serving", "standby": "standby"}
        return state is not None and all(p["state"] == wanted[p["role"]] for p in state["predictors"].values())

    def promoted_standbys(self) -> list[str]:
        """The standbys that the router has in rotation now."""
        state = self.state() or {"predictors": {}}
        return [n for n, p in state["predictors"].items() if p["role"] == "standby" and p["state"] == "serving"]

    def order(self, name: str, order: str) -> None:
        """Have the router drain a predictor, or take it back (ready). Raises CommandError."""
        post(f"{self.admin_url}/predictors/{name}/{order}", {})

    def set_fault(self, name: str, fault: dict[str, Any]) -> None:
        """Switch a fault of the predictor itself on; {} ends it. Raises CommandError."""
        post(f"http://{HOST}:{self._predictor_ports[name]}/fault", fault)

    def require_alive(self) -> None:
        """Raise CommandError when a predictor that was not taken down, or the router, has ended."""
        children = [child for name, child in self._predictors.items() if name not in self._exits_expected]
        require_alive([*children, self._router] if self._router is not None else children)

    def state(self) -> dict[str, Any] | None:
        """What the router's admin port says of the topology now; None when it does not answer."""
        return ask(f"{self.admin_url}/topology")

    def _start(self, name: str, argv: list[str]) -> Child:
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        return Child(name, argv, logs / f"{name}.log", cwd=self._folder)

    def _start_predictor(self, name: str) -> Child:
        capacity = self._topology.capacities(self._settings.threshold)[name]
        options = {
            "--host": HOST,
            "--port": self._predictor_ports[name],
            "--service-time": self._settings.service_time_s,
            "--capacity": capacity,
        }
        flags = ["--fault-control"] if self._settings.fault_control else []
        return self._start(name, self._programs.predictor(name) + _argv(options) + flags)

    def _start_router(self) -> Child:
        copy = self._folder / "topology" / f"{self._topology.name}.json"
        if not copy.is_file():  # a router that comes back finds the file as the one before it left it
            self._topology.write_copy(copy.parent, self._predictor_ports)
        options = {
            "--engine": self._settings.engine,
            "--topology": copy,
            "--host": HOST,
            "--port": self.url.rpartition(":")[2],
            "--admin-port": self.admin_url.rpartition(":")[2],
            "--threshold": self._settings.threshold,
            "--deadline": max(LEAST_DEADLINE_S, 4 * self._settings.service_time_s),
        }
        if self._settings.hold_down_s is not None:
            options["--hold-down"] = self._settings.hold_down_s
        return self._start("router", [sys.executable, str(self._programs.router), *_argv(options)])

    def _serves(self, name: str) -> Callable[[], bool]:
        url = f"http://{HOST}:{self._predictor_ports[name]}/health"

        def serves() -> bool:
            answer = ask(url)
            return answer is not None and answer.get("predictor") == name

        return serves

    def _routes(self) -> bool:
        """Whether the router serves and finds every predictor of the plan as this run started it."""
        state = self.state()
        if state is None or ask(f"{self.url}/health") is None:
            return False
        ports = {name: int(fields["port"]) for name, fields in state["predictors"].items()}
        return ports == self._predictor_ports


def ask(url: str) -> dict[str, Any] | None:
    """GET a JSON object from this machine; None when it does not answer with one in ASK_TIMEOUT_S."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ASK_TIMEOUT_S) as answer:
            document = json.load(answer)
            return document if answer.status == HTTPStatus.OK and isinstance(document, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


def post(url: str, document: dict[str, Any]) -> None:
    """POST a JSON object to this machine. Raises CommandError unless it is answered with 200."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=ASK_TIMEOUT_S).close()
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"{url}: {error}") from error


def _argv(options: dict[str, Any]) -> list[str]:
    return [text for name, value in options.items() for text in (name, str(value))]
