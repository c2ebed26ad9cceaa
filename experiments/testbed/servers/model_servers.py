"""Predictors that are a user's own model server: which they are, how each is started, and when it is ready."""

import math
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil

from cli import CommandError, UsageError
from experiments.testbed.ports import free_ports
from experiments.testbed.servers.probes import Outcome, check_health, method_of, on_one_line, predict
from experiments.testbed.topologies import HERE_ONLY, LOOPBACK, Topology, is_here
from server_file import OWN, Place, Server, fill

PREDICTS_WITHIN_S = 30.0
"""How long one prediction may take before it is asked for again: the first may load the model."""

FINAL = (401, 403, 405, 413, 415, 422)
"""Answers to a prediction that waiting does not change; 400 and 404 come from servers that load their model, too."""


MISREAD = (400, 413, 415, 422)
"""Answers of a server that cannot use the payload."""

SHOWN_CHARACTERS = 100
"""So much is shown of an answer that says what is wrong with the payload."""

NO_COMMAND = "command is missing: it starts a predictor in the experiments"


class Command(NamedTuple):
    """What starts a process."""

    argv: list[str]
    env: Mapping[str, str] | None
    """Its environment; None: as the rig's own programs have it."""
    cwd: Path


def is_own(server: Server) -> bool:
    """Whether it is the rig's own predictor."""
    return server.file is None and not server.command and not server.hooks


def servers_of(topology: Topology, server: Server) -> dict[str, Server]:
    """Returns what each predictor of the topology is. Raises UsageError where nothing says how one is started."""
    servers = {}
    for name, fields in topology.document.items():
        place = f"{topology.name}: {name}"
        each = server.for_entry(fields, place)
        _require_usable(each, place)
        if not is_here(fields.get("host", LOOPBACK[0])) and not each.hooks:
            raise UsageError(f"{place}: host is {fields['host']!r}: {HERE_ONLY}")
        if each.hooks and fields.get("standby") == "cold" and not each.hooks.keys() >= {"start", "stop"}:
            raise UsageError(f"{place}: standby is cold: {each.file} has no hooks start and stop for it: give both")
        servers[name] = replace(each, next=_next_of(each, server))
    return servers


def _next_of(own: Server, server: Server) -> Server | None:
    """The next version with all that the entry says otherwise, its command too unless `next` has one of its own."""
    if server.next is None:
        return None
    command = own.command if server.next.command == server.command else server.next.command
    return replace(own, command=command, env=server.next.env, cwd=server.next.cwd, next=None)


def _require_usable(server: Server, place: str) -> None:
    """Raises UsageError where it is not said, or said twice, what starts a predictor, or a header lacks its value."""
    if server.file is not None and not server.command and not server.hooks:
        raise UsageError(f"{server.file}: {NO_COMMAND}")
    if server.command and server.hooks:
        raise UsageError(f"{server.file}: command and hooks: give one of them, the hook start in the command's place")
    if server.hooks and (server.next is not None or server.ports_needed > 1):
        what = "port2" if server.next is None else "next"
        raise UsageError(f"{server.file}: {what} beside hooks: they start what they will, on the topology's port")
    if is_own(server) and (server.path, server.health) != (OWN.path, OWN.health):
        raise UsageError(f"{place}: path and health are of a server of your own: give a command, or --server FILE")
    server.header_values()


def places_of(
    topology: Topology, servers: Mapping[str, Server], host: str, elsewhere: Mapping[str, str] | None = None
) -> dict[str, Place]:
    """Returns where each predictor serves: on free ports of `host`, or of the address that `elsewhere` has for it.

    Where hooks start it, that is where the topology says. Raises UsageError for a port that is none.
    """
    places = {}
    for name, server in servers.items():
        fields = topology.document[name]
        if server.hooks:
            port = _port(fields["port"], f"{topology.name}: {name}")
            places[name] = Place(name, str(fields.get("host", host)), (port,))
        else:
            needed = max(each.ports_needed for each in (server, server.next or server))
            places[name] = Place(name, (elsewhere or {}).get(name, host), tuple(free_ports(needed)))
    return places


def _port(value: object, place: str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise UsageError(f"{place}: port is {value!r}: give a number from 1 to 65535")
    return int(text)


def command_of(server: Server, place: Place) -> Command:
    """Returns what starts a server of one's own there. Raises UsageError for a program that is not to be found."""
    if not server.command:
        raise UsageError(f"{server.file}: {NO_COMMAND}")
    return _command(server.command, "command", server, place)


def hook_of(action: str, server: Server, place: Place) -> Command:
    """Returns the hook that does this to a predictor. Raises UsageError for a program that is not to be found."""
    if action not in server.hooks:
        raise UsageError(f"{server.file}: hooks: {action} is missing: {place.name} is no child of this command")
    return _command(server.hooks[action], f"hooks: {action}", server, place)


def _command(words: Sequence[str], key: str, server: Server, place: Place) -> Command:
    cwd = server.cwd or Path.cwd()
    program, *arguments = (fill(word, place.values()) for word in words)
    env = environment_of(server, place)
    if "/" in program:
        program = str(cwd / program)
        env["PATH"] = os.pathsep.join([str(Path(program).parent), env.get("PATH", os.defpath)])
    if shutil.which(program, path=env.get("PATH")) is None:
        where = "" if "/" in program else " on PATH"
        whose = server.file or place.name
        program = os.path.normpath(program)
        raise UsageError(f"{whose}: {key}: no program {program!r}{where}: {_how_to_get(program, server)}")
    return Command([program, *arguments], env, cwd)


def _how_to_get(program: str, server: Server) -> str:
    """What to do where a program is missing: one of the server files that are ready-made has its own installer."""
    ready_made = re.search(r"/\.env/([^/]+)/", program)
    if ready_made and server.file and (server.file.parent / f"requirements-{ready_made[1]}.txt").exists():
        return f"run python -m tools.servers install {ready_made[1]}"
    return "install it, or give the path in your model's environment, as /path/to/venv/bin/python"


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
        self._said = self._remedy = ""
        self._said_since_s = math.inf

    def __call__(self) -> bool:
        """Whether it is, as far as is known; asks again if not. Raises CommandError where waiting is no use."""
        if self._is_final:
            raise CommandError(f"{self._place.name}: {self.reason()}")
        if self._is_refused and self._server.hooks and "start" not in self._server.hooks:
            where = f"{self._place.host}:{self._place.ports[0]}"
            why = f"nothing listens on {where}, and the server file has no hook `start`"
            raise CommandError(f"{self._place.name}: {why}: start it yourself, or add the hook")
        if not self._is_ready and not (self._asking and self._asking.is_alive()):
            self._asking = threading.Thread(target=self._ask, name=f"readiness of {self._place.name}", daemon=True)
            self._asking.start()
        return self._is_ready

    @property
    def same_for_s(self) -> float:
        """For how long its answers, or that there was none, have been the same; below 0 before the first."""
        return time.monotonic() - self._said_since_s

    def reason(self) -> str:
        """Why it is not ready, and which key of its server file may have to be mended."""
        if not self._is_refused:
            return f"{self._said}: {self._remedy}" if self._remedy else self._said
        others = [port for port in listening_ports(self._members()) if port not in self._place.ports]
        elsewhere = f", but on {', '.join(map(str, others))}: its command must name {{port}}" if others else ""
        return f"nothing listens on port {self._place.ports[0]}{elsewhere}"

    def _ask(self) -> None:
        server, host, port = self._server, self._place.host, self._place.ports[0]
        health = check_health(server, host, port, PREDICTS_WITHIN_S)
        asked = "a connection" if server.health is None else f"GET {server.health}"
        is_refused, said, remedy = health.is_refused, f"{asked} {health.said}", _remedy(server, "health", health)
        if health.is_good:
            prediction = predict(server, host, port, PREDICTS_WITHIN_S)
            said += f", but {method_of(server)} {server.path} {prediction.said}"
            remedy = _remedy(server, "path", prediction)
            self._is_ready = prediction.is_good
        if said != self._said:
            self._said_since_s = time.monotonic()
        self._said, self._remedy, self._is_refused = said, remedy, is_refused
        self._is_final = health.is_good and prediction.status in FINAL


def _remedy(server: Server, key: str, outcome: Outcome) -> str:
    """Which key of the server file is to be mended, by the answer at the path that `key` names; empty if unknown."""
    if outcome.status in (401, 403):
        return "`headers` may be missing or wrong"
    if key == "path" and outcome.status in (405, 501) and server.payload is None:
        return "GET is sent, as no `payload` is given"
    if outcome.status in (404, 405, 501):
        return f"is `{key}` right?"
    if key == "path" and outcome.status in MISREAD:
        mended = "`content_type`" if outcome.status == 415 else "`payload`"
        answer = on_one_line(outcome.body, SHOWN_CHARACTERS)
        return f"is {mended} right?" + (answer and f" The answer: {answer}")
    return ""


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
