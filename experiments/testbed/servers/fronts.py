"""The sidecars of a deployment: one in front of each predictor that is a user's own server, where faults need one."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cli import option_words
from experiments.testbed.ports import free_ports
from experiments.testbed.processes import Child
from experiments.testbed.servers.model_servers import Command, is_own
from experiments.testbed.servers.probes import port_refuses
from server_file import Place, Server

MODULE = "experiments.testbed.servers.sidecar"


class Front(NamedTuple):
    """Where a sidecar serves, and where its fault is set."""

    port: int
    control: int


class Fronts:
    """They stand where the router finds the predictors; each starts its server as a child, unless hooks do."""

    def __init__(
        self, servers: Mapping[str, Server], places: Mapping[str, Place], host: str, root: Path, logs: Path
    ) -> None:
        """`root` is the project's folder; `logs` gets the output of those that hooks leave alone."""
        self._servers, self._places, self._host, self._root, self._logs = servers, places, host, root, logs
        self._fronts = {name: Front(*free_ports(2)) for name, each in servers.items() if not is_own(each)}
        self._alone: dict[str, Child] = {}

    def __contains__(self, name: object) -> bool:
        """Whether one stands in front of that predictor."""
        return name in self._fronts

    def address(self, name: str) -> tuple[str, int]:
        """Host and port by which that predictor is reached: beside it, unless hooks reach it from here."""
        host = self._host if self._servers[name].hooks else self._places[name].host
        return host, self._fronts[name].port

    def control_port(self, name: str) -> int:
        """The port of this machine that sets its fault."""
        return self._fronts[name].control

    def ports(self, name: str) -> tuple[int, ...]:
        """The ports that it listens on; none where there is none."""
        return tuple(self._fronts.get(name, ()))

    def is_open(self, name: str) -> bool:
        """Whether it lets connections in, where one stands there."""
        return name not in self._fronts or not port_refuses(*self.address(name), 0.0)

    def in_front_of(self, name: str, command: Command) -> Command:
        """What starts both, the server as the sidecar's child, in its own folder and environment."""
        words = [*self._words(name), "--cwd", str(command.cwd), "--", *command.argv]
        return Command(words, command.env, self._root)

    def stand_before(self, name: str) -> None:
        """Starts the one in front of a server that hooks start, unless it runs. Raises CommandError."""
        if name in self._fronts and name not in self._alone:
            log = self._logs / f"{name}-sidecar.log"
            self._alone[name] = Child(f"{name}'s sidecar", self._words(name), log, self._root)

    def children(self) -> list[Child]:
        """Those that run on their own."""
        return list(self._alone.values())

    def _words(self, name: str) -> list[str]:
        server, place, front = self._servers[name], self._places[name], self._fronts[name]
        options = {
            "--host": self.address(name)[0],
            "--port": front.port,
            "--upstream": f"{place.host}:{place.ports[0]}",
            "--control": front.control,
            "--path": server.path,
            **({} if server.health is None else {"--health": server.health}),
        }
        return [sys.executable, "-E", "-m", MODULE, *option_words(options)]
