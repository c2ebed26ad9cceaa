"""The routers that an experiment's command line names, and the deployments that they make with its topologies."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli import UsageError
from experiments.options import DEFAULT_ENGINE, ENGINES
from experiments.results.records import RouterRecord
from experiments.testbed.routers import router_file
from experiments.testbed.routers.rendering import (
    Settings,
    find_program,
    require_installed,
    require_renders,
    settings_of,
)
from experiments.testbed.routers.router_file import RouterFile
from experiments.testbed.servers.model_servers import servers_of
from experiments.testbed.topologies import Topology
from server_file import Server

BETWEEN = " / "
"""Stands between topology and router in a deployment's name."""

READY_MADE = "routers"
"""The folder of those that have a name."""

VERSION_WITHIN_S = 10.0


@dataclass(frozen=True)
class ChosenRouter:
    """What stands in the router's place."""

    name: str
    """As tables call it: the engine of this project's router, or the router file's name."""
    file: RouterFile | None = None
    """What it is; None for this project's."""
    is_ready_made: bool = True
    """Whether it is in the project's folder of routers, and so goes by its name."""

    @property
    def is_own(self) -> bool:
        """Whether it is this project's router, with an engine of that name."""
        return self.file is None

    @property
    def to_repeat(self) -> str:
        """What names it in the project's folder: the name of a ready-made one, else the path in full."""
        return self.name if self.file is None or self.is_ready_made else str(self.file.file)


FLASK = ChosenRouter(DEFAULT_ENGINE)


@dataclass(frozen=True)
class ChosenDeployment:
    """A topology and a router together: a column of a table."""

    name: str
    """As tables call it: the topology's name alone, where there is one router only."""
    topology: Topology
    router: ChosenRouter
    identity: Mapping[str, str]
    """`topology` and `router` of its plan, so far as name and settings do not say it."""

    @property
    def folder(self) -> str:
        """Its name as part of a folder's."""
        return self.name.replace(BETWEEN, "-")


@dataclass(frozen=True)
class Routers:
    """Those that an experiment was asked for, in that order."""

    chosen: Sequence[ChosenRouter]

    @property
    def engine(self) -> str:
        """The engine that settings.json names: of this project's router where it is the only one, else none."""
        return self.chosen[0].name if len(self.chosen) == 1 and self.chosen[0].is_own else ""

    @property
    def foreign(self) -> list[str]:
        """The names of those that are not this project's."""
        return [each.name for each in self.chosen if not each.is_own]

    @property
    def to_repeat(self) -> str:
        """What names them in the command that repeats the experiment from the project's folder."""
        return ",".join(each.to_repeat for each in self.chosen)

    def require_installed(self) -> None:
        """Raises UsageError, with how to get it, where a program of one is not there."""
        for each in self.chosen:
            if each.file is not None:
                require_installed(each.file)

    def records(self) -> list[RouterRecord]:
        """What settings.json keeps of those that are not this project's."""
        return [_record(each.file) for each in self.chosen if each.file is not None]

    def deployments(self, topologies: Sequence[Topology], server: Server) -> list[ChosenDeployment]:
        """Each topology with each router. Raises UsageError where one cannot stand before the other."""
        found = [self._deployment(topology, router) for topology in topologies for router in self.chosen]
        self.require_renders(topologies, server)
        folders = [each.folder for each in found]
        if alike := next((each for each in found if folders.count(each.folder) > 1), None):
            raise UsageError(f"{alike.name}: two deployments have records in {alike.folder}-1: rename a file")
        return found

    def require_renders(self, topologies: Sequence[Topology], server: Server) -> None:
        """Raises UsageError where one's configuration cannot meet a topology: its template fails, or needs two."""
        for file in [each.file for each in self.chosen if each.file is not None]:
            for topology in topologies:
                settings = settings_of(servers_of(topology, server), Settings().deadline_s, file)
                require_renders(file, topology, settings)

    def _deployment(self, topology: Topology, router: ChosenRouter) -> ChosenDeployment:
        if len(self.chosen) > 1:
            identity = {"topology": topology.name, "router": router.name}
            return ChosenDeployment(f"{topology.name}{BETWEEN}{router.name}", topology, router, identity)
        return ChosenDeployment(topology.name, topology, router, {} if router.is_own else {"router": router.name})


def choose_routers(texts: Sequence[str] | None, topologies: Sequence[Topology], root: Path) -> Routers:
    """Reads `--router`, each text some names with commas between; the project is in `root`.

    Raises UsageError, also where a topology has a cold standby that nobody would start.
    """
    names = [name for text in texts or [DEFAULT_ENGINE] for name in _names_in(text)]
    if not names:
        raise UsageError("argument --router: no router is named")
    routers = [_choose(name, root) for name in names]
    for number, router in enumerate(routers):
        _require_another_name(router, routers[:number])
    for router in routers:
        _require_no_cold_standby(router, topologies)
    return Routers(routers)


def _names_in(text: str) -> list[str]:
    """Raises UsageError for a file with a comma in its path, which would be taken for two."""
    with suppress(OSError, ValueError):  # what no file can be called
        if "," in text and Path(text).is_file():
            raise UsageError(f"argument --router: {text!r}: commas stand between routers: give a path without one")
    return [name.strip() for name in text.split(",") if name.strip()]


def _choose(name: str, root: Path) -> ChosenRouter:
    if name in ENGINES:
        return ChosenRouter(name)
    file = router_file.read(_find(name, root))
    if file.name in ENGINES:
        raise UsageError(f"{file.file}: {file.name} is this project's router: give the file another name")
    return ChosenRouter(file.name, file, file.file.parent == (root / READY_MADE).resolve())


def _require_another_name(router: ChosenRouter, others: Sequence[ChosenRouter]) -> None:
    """Raises UsageError where it is there already, or another goes by its name."""
    for file in [other.file for other in others if other.name == router.name]:
        if file and router.file and file.file != router.file.file:
            both = f"{file.file} and {router.file.file}"
            raise UsageError(f"argument --router: {both}: both would be called {router.name!r}: rename one")
        raise UsageError(f"argument --router: {router.name!r} stands there twice: name each once")


def _find(name: str, root: Path) -> Path:
    try:
        return router_file.find(name, root / READY_MADE)
    except UsageError as error:
        raise UsageError(f"{error}; {' and '.join(ENGINES)} are this project's") from error


def _require_no_cold_standby(router: ChosenRouter, topologies: Sequence[Topology]) -> None:
    """Raises UsageError."""
    cold = next((each.name for each in topologies if each.cold()), "")
    if cold and not router.is_own:
        raise UsageError(
            f"argument --router: {router.name}: {cold!r} has a cold standby, and only this project's router says when "
            "to start it: name topologies without one"
        )


def _record(file: RouterFile) -> RouterRecord:
    template = hashlib.sha256(file.config.read_bytes()).hexdigest()
    return RouterRecord(file.name, _version(file), list(file.command), file.config.name, template)


def _version(file: RouterFile) -> str:
    """What it says of its version, the first line; empty where it says nothing."""
    if not file.version:
        return ""
    words = [find_program(file.version[0], file), *file.version[1:]]
    try:
        answer = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=VERSION_WITHIN_S, check=False, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next((line.strip() for line in answer.stdout.splitlines() if line.strip()), "")
