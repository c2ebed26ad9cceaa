"""Topology files as an experiment needs them: which predictors to start, and a copy on other ports.

Whether a file is valid is the router's judgement; this reads only names, roles, hosts and capacities.
"""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import UsageError
from json_files import parse_object, read_text, refuse_unknown
from server_file import ENTRY_KEYS

LOOPBACK = ("127.0.0.1", "localhost")
"""The router's own host."""
HERE_ONLY = "predictors can be started here only (127.0.0.0/8); elsewhere by the hooks of a server file"
HOLDS = "predictors, name -> status, load, port"


@dataclass(frozen=True)
class Topology:
    """A topology file: its name, and its JSON object, predictor name -> fields."""

    name: str
    document: dict[str, dict[str, Any]]

    @property
    def predictors(self) -> list[str]:
        """The predictors' names in file order."""
        return list(self.document)

    def capacities(self, threshold: int) -> dict[str, int]:
        """The most requests in flight of each predictor; `threshold` where its entry names none."""
        return {name: int(fields.get("capacity", threshold)) for name, fields in self.document.items()}

    def roles(self) -> dict[str, str]:
        """Each predictor's role by plan: active or standby."""
        return {name: "active" if fields["status"] else "standby" for name, fields in self.document.items()}

    def cold(self) -> list[str]:
        """The standbys whose processes are started only when they are wanted."""
        return [name for name, fields in self.document.items() if fields.get("standby") == "cold"]

    def regions(self) -> dict[str, str]:
        """The region of each predictor whose entry names one."""
        return {name: str(fields["region"]) for name, fields in self.document.items() if fields.get("region")}

    def hosts(self) -> dict[str, str]:
        """The host of each predictor whose entry names another one than the router's own."""
        return {name: f["host"] for name, f in self.document.items() if f.get("host", LOOPBACK[0]) not in LOOPBACK}

    def write_copy(self, path: Path, addresses: Mapping[str, tuple[str, int]]) -> None:
        """Writes the topology, idle and on these hosts and ports, into a new file; its folder is made."""
        document = {}
        for name, fields in self.document.items():
            host, port = addresses[name]
            where = {"host": host} if "host" in fields else {}
            document[name] = (
                fields | where | {"load": 0, "port": str(port) if isinstance(fields["port"], str) else port}
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=4) + "\n", encoding="utf-8")


def is_here(host: object) -> bool:
    """Whether this is an address of this machine: every one of 127.0.0.0/8, so that entries can name several hosts."""
    try:
        return host == LOOPBACK[1] or ipaddress.IPv4Address(str(host)).is_loopback
    except ValueError:
        return False


def find_topology(name_or_path: str, folder: Path, elsewhere: bool = False) -> Topology:
    """Reads the topology that a name in `folder`, or a path, stands for. Raises UsageError.

    `elsewhere`: its predictors may be on other hosts, where the hooks of a server file reach them.
    """
    path = folder / f"{name_or_path}.json"
    if "/" in name_or_path or not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise UsageError(f"unknown topology {name_or_path!r}: give {known}, or the path of a JSON file")
    document = parse_object(read_text(path), path, HOLDS, "mend or restore it")
    return Topology(path.stem, _checked(_as_planned(document, path), path, elsewhere))


def _as_planned(document: Any, path: Path) -> Any:
    """The document as a router found it that runs on the file now: what it has changed since is no plan.

    A router writes `status` and `load` into its file as they change, and keeps the initial text in a side file.
    """
    try:
        initial = json.loads(json.loads(path.with_name(f".{path.name}.router").read_text(encoding="utf-8"))["initial"])
        return initial if _lasting(initial) == _lasting(document) else document
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return document


def _lasting(document: Any) -> dict[str, Any]:
    """The topology file without what a router changes in it."""
    return {name: fields | {"status": None, "load": None} for name, fields in document.items()}


def find_topologies(
    texts: Sequence[str], folder: Path, twice: str = "use --repeats", elsewhere: bool = False
) -> list[Topology]:
    """Reads the topologies of a command line, each text some names with commas between; `elsewhere` as above.

    Raises UsageError, which has `twice` as its remedy where one is named twice.
    """
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("argument --topologies: no topology is named")
    topologies = [find_topology(name, folder, elsewhere) for name in names]
    for index, topology in enumerate(topologies):
        if topology.name in {other.name for other in topologies[:index]}:
            raise UsageError(f"argument --topologies: {topology.name!r} stands there twice: {twice}")
    return topologies


def _checked(document: dict[str, Any], path: Path, elsewhere: bool) -> dict[str, dict[str, Any]]:
    for name, fields in document.items():
        if not isinstance(fields, dict) or not isinstance(fields.get("status"), bool) or "port" not in fields:
            raise UsageError(f"{path}: {name}: must have a status, true or false, and a port")
        refuse_unknown(fields, ENTRY_KEYS, f"{path}: {name}")
        capacity = fields.get("capacity", 1)
        if not isinstance(capacity, int) or capacity < 1:
            raise UsageError(f"{path}: {name}: capacity is {capacity!r}: give a whole number, 1 or more")
        if not is_here(fields.get("host", LOOPBACK[0])) and not elsewhere:
            raise UsageError(f"{path}: {name}: host is {fields['host']!r}: {HERE_ONLY}")
    return document
