"""The server file: what a predictor is, where it is not the rig's own: how it is started, asked and checked.

docs/servers.md lists the keys. Imports the standard library, `cli` and `json_files` alone.
"""

import contextlib
import difflib
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import json_files
from json_files import JsonFileError, parse_object, read_text, refuse_unknown, shown

PAYLOAD_LIMIT_BYTES = 1024 * 1024
"""The most that the router takes as a body."""

MOST_CAPACITY = 1_000_000

PLACEHOLDER = re.compile(r"\{(host|port[2-9]?|name)\}")
PLACEHOLDERS = ("host", "port", "name", "port2")
IN_BRACES = re.compile(r"(?<!\$)\{([A-Za-z0-9]+)\}")
NEAR = 0.7
"""How alike a placeholder and a misspelt one are; awk's {print} and {port} are less."""

FROM_ENVIRONMENT = re.compile(r"\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_IN_A_PATH = r"(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-F]{2})"
PATH = re.compile(rf"(?:/(?!\.{{1,2}}(?:[/?]|$)){_IN_A_PATH}*)+(?:\?(?:{_IN_A_PATH}|[/?])+)?", re.ASCII)
"""A path, with or without a query, that no HTTP client writes otherwise: no `#`, no `..`, escaped where needed."""

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NOT_HEADERS = ("Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding")
"""What `headers` may not hold: they follow from the address, the payload and `content_type`."""

HOOKS = ("start", "stop", "crash", "hang", "resume")
NEXT_KEYS = ("command", "env", "cwd")
ENTRY_OVERRIDES = ("path", "health", "command", "capacity")
"""What an entry of a topology may say otherwise, for pools of different servers."""

ENTRY_KEYS = ("status", "load", "port", "host", "region", "standby", *ENTRY_OVERRIDES)
"""All that an entry of a topology may hold."""

HOLDS = 'keys such as "command", "path", "health" and "payload"'


class Place(NamedTuple):
    """What the placeholders of one predictor stand for; `ports[0]` is the one that it serves on."""

    name: str
    host: str
    ports: tuple[int, ...]

    def values(self) -> dict[str, str]:
        """Returns placeholder -> text; in capitals they are the process's environment variables, too."""
        numbered = {f"port{number}": str(port) for number, port in enumerate(self.ports[1:], start=2)}
        return {"name": self.name, "host": self.host, "port": str(self.ports[0]), **numbered}


@dataclass(frozen=True)
class Server:
    """What a predictor is; the defaults are the rig's own, so far as its API goes."""

    file: Path | None = None
    """Where it was read; None for the rig's own."""
    command: tuple[str, ...] = ()
    """Starts it, placeholders unfilled; empty: there is none."""
    path: str = "/predict"
    """Where predictions are POSTed."""
    health: str | None = "/health"
    """GET there: any 2xx is well. None: that a connection is accepted."""
    payload: bytes | None = None
    """What every load sends, byte for byte; None: loads send GET."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Sent with predictions and health checks; `{env:NAME}` stands in them as it was written."""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    cwd: Path | None = None
    """The folder in which `command` runs."""
    capacity: int | None = None
    """Most requests in flight given to one; None: the threshold."""
    ready_within_s: float = 180.0
    stop_within_s: float = 5.0
    health_interval_s: float = 0.5
    health_timeout_s: float = 0.5
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Name of HOOKS -> the command that does it to a predictor that is no child of the rig."""
    next: "Server | None" = None
    """The version that the fault `upgrade` starts; None: this one."""

    @property
    def ports_needed(self) -> int:
        """How many ports each of them takes: the highest that is named."""
        texts = [*self.command, *self.env.values(), *(word for hook in self.hooks.values() for word in hook)]
        named = [match[1] for text in texts for match in PLACEHOLDER.finditer(text) if match[1].startswith("port")]
        return max([1, *(int(name.removeprefix("port") or 1) for name in named)])

    def header_values(self) -> dict[str, str]:
        """Returns the headers as they are sent. Raises JsonFileError for a variable that is not set."""
        return {name: self._with_environment(name, value).strip() for name, value in self.headers.items()}

    def for_entry(self, entry: Mapping[str, Any], place: str) -> Self:
        """Returns it with what a topology's entry says otherwise; `place` names the entry. Raises JsonFileError."""
        own = {key: entry[key] for key in ENTRY_OVERRIDES if key in entry}
        return replace(self, **_values(own, place)) if own else self

    def _with_environment(self, header: str, value: str) -> str:
        def from_environment(match: re.Match[str]) -> str:
            text = os.environ.get(match[1])
            if text is None:
                raise JsonFileError(f"{self.file}: headers: {header}: the variable {match[1]} is not set: export it")
            if not (text.isprintable() and text.isascii()):
                raise JsonFileError(f"{self.file}: headers: {header}: {match[1]} holds what no header may: ASCII only")
            return text

        return FROM_ENVIRONMENT.sub(from_environment, value)


OWN = Server()
"""The rig's own predictor."""

KEYS = tuple(each.name for each in fields(Server) if each.name != "file")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Returns the text with the placeholders that `values` has replaced, and nothing else."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def find(name_or_path: str, folder: Path) -> Path:
    """Returns the server file that a name in `folder`, or a path, stands for. Raises JsonFileError."""
    return json_files.find(name_or_path, folder, "server")


def read(path: Path) -> Server:
    """Reads and validates a server file, and the payload that it names. Raises JsonFileError."""
    document = parse_object(read_text(path), path, HOLDS)
    refuse_unknown(document, KEYS, str(path))
    folder = path.resolve().parent
    values = _values(
        {key: value for key, value in document.items() if key not in ("payload", "cwd", "next")}, str(path)
    )
    server = Server(file=path, **values, **_files(document, folder, path))
    if "next" not in document:
        return server
    return replace(server, next=_next(server, document["next"], folder, path))


def _next(server: Server, document: Any, folder: Path, path: Path) -> Server:
    place = f"{path}: next"
    if not isinstance(document, dict):
        raise JsonFileError(f"{place} is {shown(document)}: give an object of {', '.join(NEXT_KEYS)}")
    refuse_unknown(document, NEXT_KEYS, place)
    values = _values({key: value for key, value in document.items() if key != "cwd"}, place)
    if "cwd" in document:
        values["cwd"] = _cwd(document["cwd"], folder, place)
    return replace(server, **values)


def _values(document: Mapping[str, Any], place: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if isinstance(document.get("hooks"), dict):
        refuse_unknown(document["hooks"], HOOKS, f"{place}: hooks")
    for key, value in document.items():
        read_value, wanted = READERS[key]
        try:
            values[key] = read_value(value)
        except (TypeError, ValueError, AttributeError) as error:
            detail = f" ({error})" if key in ("command", "hooks") and str(error) else ""
            raise JsonFileError(f"{place}: {key} is {shown(value)}{detail}: give {wanted}") from error
    return values


def _files(document: Mapping[str, Any], folder: Path, path: Path) -> dict[str, Any]:
    cwd = _cwd(document.get("cwd", "."), folder, str(path))
    name = document.get("payload")
    return {"cwd": cwd, "payload": None if name is None else read_payload(name, folder, f"{path}: payload")}


def _cwd(value: Any, folder: Path, place: str) -> Path:
    with contextlib.suppress(OSError, ValueError):  # a name that no folder can have
        if isinstance(value, str) and (folder / value).is_dir():
            return folder / value
    raise JsonFileError(f"{place}: cwd is {shown(value)}: give a folder that exists, relative to {folder}")


def read_payload(name: Any, folder: Path, place: str) -> bytes:
    """Returns the content of the file of this name, relative to `folder`; `place` names it. Raises JsonFileError."""
    if not isinstance(name, str) or not name:
        raise JsonFileError(f"{place} is {shown(name)}: give the name of a file")
    try:
        if (folder / name).is_fifo():
            raise ValueError("a pipe can be read once only")  # and waits for who writes
        with (folder / name).open("rb") as file:
            content = file.read(PAYLOAD_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise JsonFileError(f"{place} {name!r}: {reason}: name a file relative to {folder}") from error
    if len(content) > PAYLOAD_LIMIT_BYTES:
        raise JsonFileError(f"{place} {name!r}: over {PAYLOAD_LIMIT_BYTES} bytes: the router takes no more")
    return content


def _text(value: Any, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise ValueError
    return str(value)


def _health(value: Any) -> str | None:
    return None if value is None else _text(value, PATH)


def _words(value: Any) -> tuple[str, ...]:
    words = shlex.split(value) if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(_is_word(word) and word for word in words):
        raise ValueError
    _refuse_misspelt(words)
    return tuple(words)


def _refuse_misspelt(words: Sequence[str]) -> None:
    """Raises ValueError for what is nearly a placeholder; braces of JSON, awk and the shell's own `${...}` stay."""
    for found in (match[1] for word in words for match in IN_BRACES.finditer(word)):
        near = difflib.get_close_matches(found.lower(), PLACEHOLDERS, n=1, cutoff=NEAR)
        if near and not PLACEHOLDER.fullmatch(f"{{{found}}}"):
            raise ValueError(f"{{{found}}} is unknown: did you mean {{{near[0]}}}?")


def _is_word(value: Any) -> bool:
    """Whether a process can be given it: a text without NUL, all of which can be encoded."""
    return isinstance(value, str) and "\0" not in value and value.encode("utf-8", "replace").decode() == value


def _headers(value: Any) -> dict[str, str]:
    for name, text in value.items():
        if not (HEADER_NAME.fullmatch(name) and text.isprintable() and text.isascii()):
            raise ValueError
        if name.title() in NOT_HEADERS or "{env:" in FROM_ENVIRONMENT.sub("", text):
            raise ValueError
    if len({name.lower() for name in value}) < len(value):
        raise ValueError
    return dict(value)


def _environment(value: Any) -> dict[str, str]:
    if any(not name or "=" in name or not (_is_word(name) and _is_word(text)) for name, text in value.items()):
        raise ValueError
    return dict(value)


def _hooks(value: Any) -> dict[str, tuple[str, ...]]:
    if not value:
        raise ValueError
    return {name: _words(command) for name, command in value.items()}


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_CAPACITY:
        raise ValueError
    return value


def _seconds(most: float) -> Callable[[Any], float]:
    def read_seconds(value: Any) -> float:
        if isinstance(value, bool) or not 0 < value <= most:  # NaN is neither
            raise ValueError
        return float(value)

    return read_seconds


_A_PATH = "a path that begins with /, escaped as in an address (a space: %20)"
_COMMAND = "a list of words, or a text that a shell would split into words"
_HEADERS = (
    f"an object, header -> text in ASCII, with {{env:NAME}} in it; no header twice, without {', '.join(NOT_HEADERS)} "
    "(content_type is a key)"
)
READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "command": (_words, _COMMAND),
    "path": (lambda value: _text(value, PATH), f"{_A_PATH}, such as /predict"),
    "health": (_health, f"{_A_PATH}, such as /health, or null: a connection is enough"),
    "content_type": (lambda value: _text(value, re.compile(r"[!-~]+/[ -~]+")), "a media type, as application/json"),
    "headers": (_headers, _HEADERS),
    "env": (_environment, "an object, variable -> text"),
    "capacity": (_count, f"a whole number, 1 or more and at most {MOST_CAPACITY}"),
    "ready_within_s": (_seconds(3600), "seconds, above 0 and at most 3600"),
    "stop_within_s": (_seconds(600), "seconds, above 0 and at most 600"),
    "health_interval_s": (_seconds(10), "seconds, above 0 and at most 10"),
    "health_timeout_s": (_seconds(60), "seconds, above 0 and at most 60"),
    "hooks": (_hooks, f"an object of commands: {', '.join(HOOKS)}"),
}
"""Key -> what reads its value, raising TypeError, ValueError or AttributeError; and what is accepted, in words."""


def selected(name: str | None, folder: Path) -> Server:
    """Returns what the option --server stands for, a name in `folder` or a file; raises UsageError."""
    if name is None:
        return OWN
    server = read(find(name, folder))
    server.header_values()  # a variable that is not set is found now
    return server
