"""Which pods a topology's predictors become, by name; what cannot be one is refused. No manifest is made here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from json_files import JsonFileError, shown
from routing.topology import Entry, Topology
from server_file import OWN, Server

SERVICE = "predictors"
"""The headless Service that gives each pod a name of its own."""

LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")
FILE_KEY = re.compile(r"[A-Za-z0-9._-]{1,240}")
POD_NAME = "POD_NAME"
"""The environment variable that holds the pod's name, for {name}."""

ZONE = "topology.kubernetes.io/zone"
LONGEST_REGION = 30
"""Of a region so much stands in names: those of a StatefulSet's pods have to stay under 63 characters."""


@dataclass(frozen=True)
class PodSet:
    """Predictors that differ in nothing but their number: one StatefulSet."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def model(self) -> Entry:
        """The one by which all are made."""
        return self.entries[0]

    @property
    def pods(self) -> list[str]:
        """Names of its pods, in the order of its entries."""
        return [f"{self.name}-{number}" for number in range(len(self.entries))]


def pod_sets(topology: Topology) -> list[PodSet]:
    """Returns the StatefulSets of a topology. Raises JsonFileError for an entry that cannot be a pod."""
    if not FILE_KEY.fullmatch(topology.path.name):
        wanted = "letters, digits and . _ - only, 240 at most"
        raise JsonFileError(
            f"{topology.path}: {shown(topology.path.name)} is no key of a ConfigMap: {wanted}: rename it"
        )
    alike: dict[object, list[Entry]] = {}
    for entry in topology.entries:
        _require_pod(entry, topology)
        alike.setdefault(_kind(entry), []).append(entry)
    sets: dict[str, PodSet] = {}
    for entries in alike.values():
        name = _free_name(_base_name(entries[0]), sets)
        sets[name] = PodSet(name, tuple(entries))
    return list(sets.values())


def pod_names(sets: Sequence[PodSet]) -> dict[str, str]:
    """Returns predictor -> its pod, set by set."""
    return {entry.name: pod for each in sets for entry, pod in zip(each.entries, each.pods, strict=True)}


def _kind(entry: Entry) -> object:
    server = entry.server
    return entry.kind_of_standby, entry.region, entry.capacity, server.command, server.path, server.health


def _base_name(entry: Entry) -> str:
    role = "predictor" if not entry.role.is_backup else "cold-standby" if entry.cold else "standby"
    region = re.sub(r"[^a-z0-9]+", "-", (entry.region or "").lower())[:LONGEST_REGION].strip("-")
    return f"{role}-{region}" if region else role


def _free_name(base: str, taken: Mapping[str, object]) -> str:
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (base, *numbered) if name not in taken)


def _require_pod(entry: Entry, topology: Topology) -> None:
    place = f"{topology.path}: {entry.name}"
    if not _is_here(entry.host):
        raise JsonFileError(f"{place}: host is {shown(entry.host)}: a pod gets a name of its own: leave host out")
    if entry.region and not LABEL_VALUE.fullmatch(entry.region):
        wanted = f"the value of a zone's label ({ZONE}): letters, digits and . _ -, 63 at most"
        raise JsonFileError(f"{place}: region is {shown(entry.region)}: give {wanted}")
    _require_runnable(entry.server, place)


def _is_here(host: str) -> bool:
    """Whether it is the machine of the router, which is where an entry without a host is."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _require_runnable(server: Server, place: str) -> None:
    """Raises JsonFileError where it cannot be started in a container."""
    if is_own(server) and (server.path, server.health) != (OWN.path, OWN.health):
        raise JsonFileError(f"{place}: path and health are of a server of your own: give a command, or --server FILE")
    for name in server.env:
        if name == POD_NAME or not VARIABLE.fullmatch(name):
            why = "the pod's own" if name == POD_NAME else "no variable of a container"
            raise JsonFileError(f"{server.file}: env: {shown(name)} is {why}: give it another name")


def is_own(server: Server) -> bool:
    """Whether it is the rig's own predictor."""
    return server.file is None and not server.command
