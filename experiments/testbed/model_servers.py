"""Predictors that are a user's own model server: which they are, how each is started, and when it is ready."""

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from cli import CommandError, UsageError
from experiments.testbed.probes import check_health, method_of, predict
from experiments.testbed.topologies import Topology
from server_file import OWN, Place, Server, fill

PREDICTS_WITHIN_S = 10.0
"""How long one prediction may take before it is asked for again: the first may load the model."""

FINAL = (401, 403, 405, 413, 415, 422)
"""Answers to a prediction that waiting does not change; 400 and 404 come from servers that load their model, too."""


class Command(NamedTuple):
    """What starts a process."""

    argv: list[str]
    env: Mapping[str, str] | None
    """Its environment; None: as the rig's own programs have it."""
    cwd: Path


def is_own(server: Server) -> bool:
    """Whether it is the rig's own predictor."""
    return server.file is None and not server.command


def servers_of(topology: Topology, server: Server) -> dict[str, Server]:
    """Returns what each predictor of the topology is. Raises UsageError where nothing says how one is started."""
    servers = {}
    for name, fields in topology.document.items():
        place = f"{topology.name}: {name}"
        each = servers[name] = server.for_entry(fields, place)
        if each.file is not None and not each.command:
            raise UsageError(f"{each.file}: command is missing: it starts a predictor in the experiments")
        if is_own(each) and (each.path, each.health) != (OWN.path, OWN.health):
            raise UsageError(f"{place}: path and health are of a server of your own: give a command, or --server FILE")
        each.header_values()
    return servers


def command_of(server: Server, place: Place) -> Command:
    """Returns what starts a server of one's own there. Raises UsageError for a program that is not to be found."""
    cwd = server.cwd or Path.cwd()
    program, *arguments = (fill(word, place.values()) for word in server.command)
    env = environment_of(server, place)
    if "/" in program:
        program = str(cwd / program)
        env["PATH"] = os.pathsep.join([str(Path(program).parent), env.get("PATH", os.defpath)])
    if shutil.which(program, path=env.get("PATH")) is None:
        where = "" if "/" in program else " on PATH"
        whose = server.file or place.name
        raise UsageError(f"{whose}: command: no program {program!r}{where}: install it, or give its path")
    return Command([program, *arguments], env, cwd)


def environment_of(server: Server, place: Place) -> dict[str, str]:
    """Returns its environment: the user's own, HOST, PORT, NAME, and what the file says."""
    values = place.values()
    capitals = {name.upper(): value for name, value in values.items()}
    unbuffered = {"PYTHONUNBUFFERED": "1"}  # a server that is killed leaves its last line, too
    return unbuffered | dict(os.environ) | capitals | {name: fill(text, values) for name, text in server.env.items()}


class Readiness:
    """Whether a server is ready: its health check passes, and a prediction is good.

    It is asked in a thread, for its first prediction may take long.
    """

    def __init__(self, server: Server, place: Place, members: Callable[[], list[psutil.Process]]) -> None:
        """`members` are the processes of the server."""
        self._server, self._place, self._members = server, place, members
        self._asking: threading.Thread | None = None
        self._is_ready = self._is_final = self._is_refused = False
        self._said = ""

    def __call__(self) -> bool:
        """Whether it is, as far as is known; asks again if not. Raises CommandError where waiting is no use."""
        if self._is_final:
            raise CommandError(f"{self._place.name}: {self._said}: check its server file")
        if not self._is_ready and not (self._asking and self._asking.is_alive()):
            self._asking = threading.Thread(target=self._ask, name=f"readiness of {self._place.name}", daemon=True)
            self._asking.start()
        return self._is_ready

    def reason(self) -> str:
        """Why it is not ready."""
        if not self._is_refused:
            return self._said
        others = [port for port in listening_ports(self._members()) if port not in self._place.ports]
        elsewhere = f", but on {', '.join(map(str, others))}: its command must name {{port}}" if others else ""
        return f"nothing listens on port {self._place.ports[0]}{elsewhere}"

    def _ask(self) -> None:
        server, host, port = self._server, self._place.host, self._place.ports[0]
        health = check_health(server, host, port, PREDICTS_WITHIN_S)
        asked = "a connection" if server.health is None else f"GET {server.health}"
        self._is_refused, said = health.is_refused, f"{asked} {health.said}"
        if health.is_good:
            prediction = predict(server, host, port, PREDICTS_WITHIN_S)
            said += f", but {method_of(server)} {server.path} {prediction.said}"
            self._is_ready = prediction.is_good
        self._said = said
        self._is_final = health.is_good and prediction.status in FINAL


def listening_ports(processes: list[psutil.Process]) -> list[int]:
    """Returns the TCP ports on which these processes listen, ascending."""
    ports: set[int] = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        ports |= {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return sorted(ports)
