"""A router's configuration for one deployment, from its template; and the commands that go with it."""

import ipaddress
import math
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli import UsageError
from experiments.testbed.routers.router_file import RouterFile, fill
from experiments.testbed.topologies import Topology
from server_file import Server

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
"""What the rig's own router takes as a predictor's name and as a host."""

MOST_RETRIES = 2
ANY_PORT = 65535
ANY_CAPACITY = 1

PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
"""Traefik goes to predictors beyond loopback by way of these."""


class _Address:
    """What has a host and a port."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as URLs and most configurations have them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, which needs no name server."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


@dataclass(frozen=True)
class Backend(_Address):
    """One predictor as the router is to know it."""

    name: str
    host: str
    port: int
    capacity: int
    """The most requests in flight that it is to be given."""
    active: bool
    """Whether it serves by plan; a standby waits."""


@dataclass(frozen=True)
class Listen(_Address):
    """Where the router is to serve."""

    host: str
    port: int


@dataclass(frozen=True)
class Settings:
    """What a configuration is made from besides the topology; times in seconds."""

    deadline_s: float = 10.0
    """A request is answered, or given up, within this time."""
    retries: int = 1
    """How often a request is sent again whose predictor failed."""
    health: str | None = "/health"
    """The path of active health checks; None: that a connection is accepted."""
    health_interval_s: float = 0.5
    health_timeout_s: float = 0.5
    path: str = "/predict"
    """Where predictions are asked for, with its query."""

    @property
    def attempt_s(self) -> float:
        """Each attempt's share of the deadline, as others may follow."""
        return self.deadline_s / (1 + self.retries)


@dataclass(frozen=True)
class RenderedRouter:
    """What one deployment's router is started with."""

    config: Path
    command: tuple[str, ...]
    restart: tuple[str, ...] | None
    """`{pid}`, of the process that `command` started, is filled when it is given."""
    env: Mapping[str, str]
    """The whole environment of both."""
    cwd: Path
    listen: Listen
    settings: Settings


def retries_of(predictors: int) -> int:
    """Of two one is left to ask; of more, two may fail together."""
    return max(0, min(predictors - 1, MOST_RETRIES))


def settings_of(servers: Mapping[str, Server], deadline_s: float, router: RouterFile) -> Settings:
    """Returns the settings for these predictors, by name. Raises UsageError where they need different ones.

    A server file's headers are the clients' own to send, and no router's configuration holds their values: health
    checks without them would fail, so a connection is enough.
    """
    first_name, first = next(iter(servers.items()))
    for name, server in servers.items():
        for key in ("path", "health"):
            own, common = getattr(server, key), getattr(first, key)
            if own != common:
                why = f"{key} is {own!r}, {first_name}'s {common!r}"
                raise UsageError(f"--router {router.name}: {name}: {why}: it has one for all: use --router flask")
    health = None if first.headers else first.health
    times = (first.health_interval_s, first.health_timeout_s)
    return Settings(deadline_s, retries_of(len(servers)), health, *times, first.path)


def render(
    router: RouterFile,
    predictors: Sequence[Backend],
    listen: Listen,
    folder: Path,
    settings: Settings = Settings(),
) -> RenderedRouter:
    """Writes the configuration into `folder`, which is made; returns what goes with it.

    Raises UsageError for a name or host that no topology may have, a template that fails, or a program that is not
    installed.
    """
    folder = folder.resolve()
    text = _text(router, predictors, listen, folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / router.config_name
    config.write_text(text, encoding="utf-8")
    values = _placeholders(config, listen, settings)
    env = _own_environment() | {name: fill(text, values) for name, text in router.env.items()}
    env["PATH"] = search_path(env)

    def command(words: Sequence[str]) -> tuple[str, ...]:
        return (find_program(words[0], router, env), *(fill(word, values) for word in words[1:]))

    require_installed(router, env)
    restart = None if router.restart is None else command(router.restart)
    return RenderedRouter(config, command(router.command), restart, env, router.file.resolve().parent, listen, settings)


def require_renders(router: RouterFile, topology: Topology, settings: Settings) -> None:
    """Tries the template on this topology before any port of it is known. Raises UsageError as render() does."""
    addresses = dict.fromkeys(topology.predictors, ("127.0.0.1", ANY_PORT))
    predictors = backends_of(topology, addresses, ANY_CAPACITY)
    _text(router, predictors, Listen("127.0.0.1", ANY_PORT), Path("/"), settings)


def backends_of(topology: Topology, addresses: Mapping[str, tuple[str, int]], threshold: int) -> list[Backend]:
    """Returns its predictors as a router is to know them; `threshold`: capacity where an entry names none."""
    capacities, roles = topology.capacities(threshold), topology.roles()
    return [
        Backend(name, host, port, capacities[name], roles[name] == "active") for name, (host, port) in addresses.items()
    ]


def _text(router: RouterFile, predictors: Sequence[Backend], listen: Listen, folder: Path, settings: Settings) -> str:
    from experiments.testbed.routers.templates import rendered  # no --help needs Jinja2

    _check(predictors, listen)
    return rendered(router.config, _values(predictors, listen, folder, settings))


def _own_environment() -> dict[str, str]:
    """This process's, without proxies: between a router and its predictors stands none that its file does not name."""
    return {name: text for name, text in os.environ.items() if name.lower() not in PROXIES}


def _placeholders(config: Path, listen: Listen, settings: Settings) -> dict[str, str]:
    """What may stand in commands and the environment; the deadline in whole seconds."""
    return {
        "folder": str(config.parent),
        "config": str(config),
        "host": listen.host,
        "port": str(listen.port),
        "deadline": str(math.ceil(settings.deadline_s)),
    }


def require_installed(router: RouterFile, env: Mapping[str, str] = os.environ) -> None:
    """Raises UsageError, with how to get it, where a program that the file names is not there."""
    for words in (router.command, router.restart, router.version):
        if words:
            find_program(words[0], router, env)


def find_program(program: str, router: RouterFile, env: Mapping[str, str] = os.environ) -> str:
    """Returns the program's path: on PATH, beside this Python, or by its path from the router file's folder.

    Raises UsageError, with how to get it, where there is none.
    """
    if "/" in program:
        program = os.path.normpath(router.file.resolve().parent / program)
        found, where = shutil.which(program), ""
    else:
        found, where = shutil.which(program, path=search_path(env)), " on PATH"
    if found is None:
        remedy = router.install or "install it, or give its path in the file"
        raise UsageError(f"--router {router.name}: no program {program!r}{where}: {remedy}")
    return found


def search_path(env: Mapping[str, str]) -> str:
    """Returns where programs are looked for: PATH, then beside this Python, where pip puts those that it installs."""
    places, beside = env.get("PATH", os.defpath), str(Path(sys.executable).parent)
    return places if beside in places.split(os.pathsep) else os.pathsep.join([places, beside])


def _values(predictors: Sequence[Backend], listen: Listen, folder: Path, settings: Settings) -> dict[str, Any]:
    """What a template is given, by name."""
    return {
        "predictors": predictors,
        "actives": [each for each in predictors if each.active],
        "standbys": [each for each in predictors if not each.active],
        "listen": listen,
        "folder": str(folder),
        "attempt_s": settings.attempt_s,
        **asdict(settings),
    }


def _check(predictors: Sequence[Backend], listen: Listen) -> None:
    for each in predictors:
        if not NAME.fullmatch(each.name):
            raise UsageError(f"{each.name[:64]!r} is not a predictor's name: letters, digits and . _ - only")
        _check_address(each, each.name)
    _check_address(listen, "the router")


def _check_address(address: Backend | Listen, whose: str) -> None:
    if not HOST.fullmatch(address.host):
        raise UsageError(f"{whose}: host is {address.host[:64]!r}: give a host name or an IP address")
    if type(address.port) is not int or not 0 < address.port < 65536:
        raise UsageError(f"{whose}: port is {address.port!r}: give a number from 1 to 65535")
