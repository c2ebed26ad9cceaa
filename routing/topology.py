"""The topology file's schema: what a file may hold, and reading one. No network and no live state here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import json_files
from json_files import JsonFileError, parse_object, read_text, refuse_unknown, shown
from server_file import ENTRY_KEYS, OWN, Server

DEFAULT_HOST = "127.0.0.1"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
WARM, COLD = "warm", "cold"
"""A standby whose process runs and waits, or is started when the router wants it."""


HOLDS = "predictors, name -> status, load, port"


class Role(StrEnum):
    """What a predictor is by plan; what the code decides by it is a property here."""

    ACTIVE = "active"
    STANDBY = "standby"

    @property
    def is_backup(self) -> bool:
        """Whether it waits outside the rotation until it is promoted; all others are missed while they are out."""
        return self is Role.STANDBY


@dataclass(frozen=True)
class Entry:
    """One predictor of a topology, as planned."""

    name: str
    host: str
    port: int
    capacity: int
    """The most requests in flight that it is given."""
    role: Role
    region: str | None = None
    cold: bool = False
    """Whether it is a standby whose process is started only when it is wanted."""
    server: Server = OWN
    """How it is asked and checked."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, which no two predictors share."""
        return self.host, self.port

    @property
    def kind_of_standby(self) -> str | None:
        """WARM or COLD; None for an active."""
        return None if not self.role.is_backup else COLD if self.cold else WARM

    @property
    def authority(self) -> str:
        """Host and port as URLs and Host headers have them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Topology:
    """A named set of predictors, in file order, and the file's own text in its initial state."""

    name: str
    path: Path
    entries: tuple[Entry, ...]
    document: Mapping[str, Mapping[str, Any]]
    """The file's JSON object as read."""
    text: str
    """The file's text as read."""

    @property
    def backups(self) -> list[Entry]:
        """The predictors that wait to be promoted, as they are considered: warm before cold, then in file order."""
        return sorted((entry for entry in self.entries if entry.role.is_backup), key=lambda entry: entry.cold)


def find(name_or_path: str, folder: Path) -> Path:
    """Returns the file that a name in `folder`, or a path, stands for; JsonFileError lists the known names."""
    return json_files.find(name_or_path, folder, "topology")


def read(path: Path, threshold: int, text: str | None = None, server: Server = OWN) -> Topology:
    """Reads and validates the topology file.

    `threshold` is the capacity of an entry for which neither the file nor `server`, what the predictors are, names one;
    `text` stands for what the file held when it was still in its initial state. Raises JsonFileError.
    """
    return parse(read_text(path) if text is None else text, path, threshold, server)


def parse(text: str, path: Path, threshold: int, server: Server = OWN) -> Topology:
    """Validates a topology file's text; `path` gives the topology its name. Raises JsonFileError."""
    document = parse_object(text, path, HOLDS, _remedy(path))
    entries = tuple(_entry(name, fields, path, threshold, server) for name, fields in document.items())
    if all(entry.role.is_backup for entry in entries):
        raise JsonFileError(f'{path}: no predictor is active: set "status": true for at least one')
    _check_addresses(entries, path)
    return Topology(path.stem, path, entries, document, text)


def _remedy(path: Path) -> str:
    return f"mend it, or restore it (git checkout -- {path.name} in its folder)"


def _entry(name: str, fields: Any, path: Path, threshold: int, server: Server) -> Entry:
    if not NAME.fullmatch(name):
        raise JsonFileError(f"{path}: {name[:64]!r} is not a predictor's name: letters, digits and . _ - only")
    place = f"{path}: {name}"
    if not isinstance(fields, dict):
        raise JsonFileError(f"{place}: must be an object with status, load, port")
    refuse_unknown(fields, ENTRY_KEYS, place)
    _check_fields(fields, place)
    own = server.for_entry(fields, place)
    role = Role.ACTIVE if fields["status"] else Role.STANDBY
    return Entry(
        name,
        fields.get("host", DEFAULT_HOST),
        int(fields["port"]),
        own.capacity or threshold,
        role,
        fields.get("region"),
        cold=fields.get("standby") == COLD,
        server=own,
    )


def _check_fields(fields: dict[str, Any], place: str) -> None:
    """Checks what a server file does not have. Raises JsonFileError."""
    host, region = fields.get("host", DEFAULT_HOST), fields.get("region")
    checks = {
        "status": (isinstance(fields.get("status"), bool), "true or false"),
        "load": (_is_whole(fields.get("load", 0), 0), "a whole number, 0 or more"),
        "port": (_is_port(fields.get("port")), 'a port from 1 to 65535, as "9696" or 9696'),
        "host": (isinstance(host, str) and HOST.fullmatch(host), "a host name or an IP address"),
        "region": (region is None or isinstance(region, str), "a text"),
        "standby": (fields.get("standby", WARM) in (WARM, COLD), f'"{COLD}" or "{WARM}"'),
    }
    for key, (valid, accepted) in checks.items():
        if not valid:
            value = shown(fields[key]) if key in fields else "missing"
            raise JsonFileError(f"{place}: {key} is {value}: give {accepted}")
    if fields["status"] and "standby" in fields:
        raise JsonFileError(f'{place}: standby is {shown(fields["standby"])}: leave it out where "status" is true')


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_port(value: Any) -> bool:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 5:
        value = int(value)
    return _is_whole(value, 1) and value <= 65535


def _check_addresses(entries: tuple[Entry, ...], path: Path) -> None:
    seen: dict[tuple[str, int], str] = {}
    for entry in entries:
        other = seen.setdefault(entry.address, entry.name)
        if other != entry.name:
            raise JsonFileError(f"{path}: {entry.name} has {other}'s port {entry.port}: give each its own")
