"""The router file: what a router is, where it is not the rig's own: how it is configured, started and restarted.

docs/routers.md lists the keys.
"""

import difflib
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import json_files
from json_files import JsonFileError, parse_object, read_text, refuse_unknown, shown
from server_file import PATH

PLACEHOLDERS = ("folder", "config", "host", "port", "deadline", "pid")
PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
IN_BRACES = re.compile(r"(?<!\$)\{([A-Za-z0-9]+)\}")
NEAR = 0.7
"""How alike a placeholder and a misspelt one are."""

TEMPLATE_SUFFIX = ".j2"
NAME = re.compile(r"\w[\w .+-]{0,63}")
NAME_IN_WORDS = "at most 64 letters, digits, spaces and . _ + -, a letter or digit first"
"""Of what a file is called, for tables, folders and commands."""

HOLDS = 'keys such as "command", "config", "restart" and "install"'
NEEDED = ("command", "config")


class MisspeltError(ValueError):
    """A text has what is nearly a placeholder; the error names the nearest."""


@dataclass(frozen=True)
class RouterFile:
    """What a router is. Words of commands have their placeholders unfilled."""

    name: str
    """The file's, without its suffix."""
    file: Path
    command: tuple[str, ...]
    """Starts it in the foreground."""
    config: Path
    """The Jinja2 template of its configuration."""
    health: str | None = None
    """GET there, at the router: any 2xx is well. None: that it answers a prediction well is enough."""
    restart: tuple[str, ...] | None = None
    """Has it go over to a new process, or a new configuration, and returns. None: it is stopped and started."""
    install: str = ""
    """How one gets it."""
    version: tuple[str, ...] = ()
    """Prints its version; empty: nothing does."""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Its environment, besides this process's own."""
    ready_within_s: float = 30.0
    stop_within_s: float = 15.0

    @property
    def config_name(self) -> str:
        """The rendered configuration's file name."""
        return self.config.name.removesuffix(TEMPLATE_SUFFIX)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Returns the text with the placeholders that `values` has replaced, and nothing else."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def find(name_or_path: str, folder: Path) -> Path:
    """Returns the router file that a name in `folder`, or a path, stands for. Raises JsonFileError."""
    return json_files.find(name_or_path, folder, "router")


def read(path: Path) -> RouterFile:
    """Reads and validates a router file; its template must exist. Raises JsonFileError."""
    if not NAME.fullmatch(path.stem):
        raise JsonFileError(f"router file {str(path)!r}: the router goes by the file's name: {NAME_IN_WORDS}")
    document = parse_object(read_text(path), path, HOLDS)
    refuse_unknown(document, READERS, str(path))
    for key in NEEDED:
        if key not in document:
            raise JsonFileError(f"{path}: {key} is missing: give {READERS[key][1]}")
    values: dict[str, Any] = {}
    for key, value in document.items():
        read_value, wanted = READERS[key]
        try:
            values[key] = read_value(value)
        except MisspeltError as error:
            raise JsonFileError(f"{path}: {key}: {error}") from error
        except (TypeError, ValueError, AttributeError) as error:
            detail = f" ({error})" if key in COMMANDS and str(error) else ""
            raise JsonFileError(f"{path}: {key} is {shown(value)}{detail}: give {wanted}") from error
    return RouterFile(path.stem, path, **values | {"config": _template(values["config"], path)})


def _template(name: str, path: Path) -> Path:
    template = path.resolve().parent / name
    if not template.is_file():
        raise JsonFileError(f"{path}: config is {shown(name)}: no such file in {template.parent}: name the template")
    return template


def _words(value: Any) -> tuple[str, ...]:
    words = shlex.split(value) if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(_is_text(word) and word for word in words):
        raise ValueError
    for word in words:
        _refuse_misspelt(word)
    return tuple(words)


def _refuse_misspelt(word: str) -> None:
    """Raises MisspeltError for what is nearly a placeholder; a configuration language's own braces stay."""
    for found in (match[1] for match in IN_BRACES.finditer(word)):
        near = difflib.get_close_matches(found.lower(), PLACEHOLDERS, n=1, cutoff=NEAR)
        if near and found not in PLACEHOLDERS:
            raise MisspeltError(f"{{{found}}} is unknown: did you mean {{{near[0]}}}?")


def _is_text(value: Any) -> bool:
    """Whether a process can be given it: a text without NUL, all of which can be encoded."""
    return isinstance(value, str) and "\0" not in value and value.encode("utf-8", "replace").decode() == value


def _name(value: Any) -> str:
    if not _is_text(value) or not value or not value.removesuffix(TEMPLATE_SUFFIX):
        raise ValueError
    return str(value)


def _health(value: Any) -> str | None:
    if value is not None and not PATH.fullmatch(value):
        raise ValueError
    return None if value is None else str(value)


def _line(value: Any) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError
    return str(value)


def _environment(value: Any) -> dict[str, str]:
    if any(not name or "=" in name or not (_is_text(name) and _is_text(text)) for name, text in value.items()):
        raise ValueError
    for text in value.values():
        _refuse_misspelt(text)
    return dict(value)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not 0 < value <= MOST_S:  # NaN is neither
        raise ValueError
    return float(value)


MOST_S = 600
COMMANDS = ("command", "restart", "version")
_COMMAND = "a list of words, or a text that a shell would split into words"
_SECONDS = f"seconds, above 0 and at most {MOST_S}"
READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "command": (_words, _COMMAND),
    "config": (_name, "the name of a Jinja2 template beside the file, as nginx.conf.j2"),
    "health": (_health, "a path that begins with /, such as /health, or null: a good prediction is enough"),
    "restart": (lambda value: None if value is None else _words(value), f"{_COMMAND}, or null: stopped and started"),
    "install": (_line, "one line of text, as apt install nginx"),
    "version": (_words, _COMMAND),
    "env": (_environment, "an object, variable -> text"),
    "ready_within_s": (_seconds, _SECONDS),
    "stop_within_s": (_seconds, _SECONDS),
}
"""Key -> what reads its value, raising TypeError, ValueError or AttributeError; and what is accepted, in words."""
