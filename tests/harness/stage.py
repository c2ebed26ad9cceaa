"""What a test starts, and what surely ends with it."""

import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

from tests.harness.deployment import Deployment
from tests.harness.load import SERVICE_TIME_S, Questions
from tests.harness.processes import Process, Router
from tests.harness.project import ROOT, with_ports
from tests.harness.stubs import StubPredictor, answers, ports_of
from tests.harness.tree import Tree

HOLD_DOWN_S = 1.0
TOPOLOGIES = ("single", "2active", "3active")
"""By the numbers of the variable."""

ECHO = str(ROOT / "tests" / "harness" / "echo_process.py")
LIGHT = str(ROOT / "tests" / "harness" / "light_predictor.py")

Kind = Callable[[str, int], Process]
"""Starts a predictor of this name on this port."""


class Stage:
    """Starts what one test (or module) needs in `folder`, and surely ends all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    # A router before predictors

    def deploy(
        self,
        topology: str | Path,
        *options: str,
        number: int = 3,
        service_time_s: float = 0.0,
        stubs: list[StubPredictor] | None = None,
        prefix: Sequence[str] = (),
    ) -> Deployment:
        """Starts stubs where none are given, and a router on a copy of this topology, or on this file as it is."""
        stubs = self.stubs(number, service_time_s) if stubs is None else stubs
        path = topology if isinstance(topology, Path) else self.topology(topology, ports_of(stubs))
        initial = path.read_bytes()
        return Deployment(self.router(path, *options, prefix=prefix), path, initial, stubs, ends=self._ends)

    def deploy_processes(self, topology: str, kinds: Sequence[Kind], *options: str, cold: int = 0) -> Deployment:
        """Starts predictors as processes, the last `cold` of them not, and a router on a copy of this topology."""
        ports = [self.reserve_port() for _ in kinds]
        numbered = enumerate(zip(kinds, ports, strict=True), start=1)
        starters = [partial(kind, f"predict{number}", port) for number, (kind, port) in numbered]
        processes = [start() for start in starters[: len(starters) - cold]]
        urls = [process.addresses(1)[0] for process in processes]
        path = self.topology(topology, ports)
        initial = path.read_bytes()
        real = next((url for url, kind in zip(urls, kinds, strict=False) if kind == self.light_predictor), None)
        router = self.router(path, *(options or ("--hold-down", str(HOLD_DOWN_S))))
        return Deployment(router, path, initial, [], processes, starters, Questions(real), self._ends)

    def deploy_predictors(self) -> Deployment:
        """Starts predictors on 2active (service time 0.2 s), and a router with a hold-down of 1 s."""
        return self.deploy_processes("2active", [self.light_predictor] * 3)

    def deploy_echo(self, *options: str) -> Deployment:
        """The same with stubs in processes of their own: for faults that any process meets alike, model or not."""
        return self.deploy_processes("2active", [self.echo] * 3, *options)

    def deploy_tree(
        self,
        *options: str,
        number: int = 3,
        service_time_s: float = 0.0,
        prefix: Sequence[str] = (),
        **variables: object,
    ) -> Deployment:
        """Starts stubs, and a router that its variables (other ones where given) lead to a topology of its own copy."""
        stubs = self.stubs(number, service_time_s)
        tree = self.tree(ports_of(stubs))
        if variables:
            tree.save(**variables)
        path = tree.topology(TOPOLOGIES[int(str(variables.get("topology", 0)))])
        initial = path.read_bytes()
        router = self.router(None, *options, tree=tree.root, prefix=prefix)
        return Deployment(router, path, initial, stubs, ends=self._ends, own_tree=tree)

    # The parts

    def at_end(self, end: Callable[[], object]) -> None:
        """Has this called when all ends, before what was started earlier ends."""
        self._ends.callback(end)

    def reserve_port(self) -> int:
        """Returns a port that nobody else is given until the end, though a process of ours may serve on it."""
        holder = self._ends.enter_context(socket.socket())
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        return port

    def stubs(self, number: int, service_time_s: float = 0.0, host: str = "127.0.0.1") -> list[StubPredictor]:
        """Starts stub predictors: predict1, predict2, ..., which take this long for each answer."""
        made = [StubPredictor(f"predict{index + 1}", self.reserve_port(), host) for index in range(number)]
        for stub in made:
            stub.script = answers(delay_s=service_time_s)
            self._ends.callback(stub.close)
        return made

    def process(self, name: str, command: Sequence[str], cwd: str | Path = "/") -> Process:
        """Starts a Python program with these arguments."""
        return self.program(name, [sys.executable, *command], cwd)

    def program(self, name: str, command: Sequence[str], cwd: str | Path = "/") -> Process:
        """Starts any program."""
        process = Process(name, command, self.folder, cwd)
        self._ends.callback(process.kill)
        return process

    def predictor(
        self, name: str, port: int, *options: str, service_time_s: float = SERVICE_TIME_S, cwd: str | Path = "/"
    ) -> Process:
        """Starts a real predictor; it serves once `addresses(1)` returns."""
        settings = ["--port", str(port), "--service-time", str(service_time_s), *options]
        return self.process(name, [str(ROOT / "predictors" / f"{name}.py"), *settings], cwd)

    def light_predictor(self, name: str, port: int, *options: str, service_time_s: float = SERVICE_TIME_S) -> Process:
        """Starts the same without scikit-learn, for tests that do not look at predictions."""
        return self.process(name, [LIGHT, name, "--port", str(port), "--service-time", str(service_time_s), *options])

    def echo(self, name: str, port: int, service_time_s: float = SERVICE_TIME_S, load_time_s: float = 0.0) -> Process:
        """Starts a stub predictor in a process of its own; it listens once `addresses(1)` returns."""
        return self.process(name, [ECHO, name, str(port), str(service_time_s), str(load_time_s)])

    def topology(self, name: str, ports: list[int], folder: Path | None = None) -> Path:
        """Copies the project's topology file of this name, with these ports, into a new folder of the test."""
        path = (folder or Path(tempfile.mkdtemp(dir=self.folder))) / f"{name}.json"
        path.write_text(with_ports(name, ports))
        return path

    def tree(self, ports: list[int]) -> Tree:
        """Copies the router with all it needs, its topology files with these ports."""
        return Tree(self.folder / "tree", ports)

    def router(self, topology: Path | None, *options: str, tree: Path = ROOT, prefix: Sequence[str] = ()) -> Router:
        """Starts a router on this topology file, or on what its own variable says."""
        selected = [] if topology is None else ["--topology", str(topology)]
        router = Router(self.folder, [*selected, *options], tree, prefix)
        self._ends.callback(router.kill)
        return router
