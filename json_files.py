"""JSON files that users write: read whole or refused, in one line with the place and the remedy.

Imports the standard library and `cli` alone.
"""

import contextlib
import difflib
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from cli import UsageError

SHOWN = 40
"""Characters of a value in an error."""


class JsonFileError(UsageError):
    """A file that cannot be used; the text names the file, the place and the remedy in one line."""


def find(name_or_path: str, folder: Path, what: str) -> Path:
    """Returns the file that a name in `folder`, or a path, stands for; `what` it is. Raises JsonFileError."""
    candidates = [Path(name_or_path)]
    if "/" not in name_or_path:
        candidates.insert(0, folder / f"{name_or_path}.json")
    for candidate in candidates:
        with contextlib.suppress(OSError, ValueError):  # a name that no file can have
            if candidate.is_file():
                return candidate.resolve()
    names = sorted(file.stem for file in folder.glob("*.json"))
    ready_made = f"one of {', '.join(names)}, or " if names else ""
    near = difflib.get_close_matches(name_or_path, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    missing = _why_no_file(name_or_path)
    raise JsonFileError(f"unknown {what} {name_or_path!r}: {missing}{hint}give {ready_made}the path of a JSON file")


def _why_no_file(path: str) -> str:
    """Why there is no file at what is meant as a path, with a colon; empty for a name."""
    with contextlib.suppress(OSError, ValueError):
        if "/" in path or path in (".", "..") or path.endswith(".json"):
            if Path(path).is_dir():
                return "it is a folder: "
            return "it is no regular file: " if Path(path).exists() else f"no such file in {Path.cwd()}: "
    return ""


def read_text(path: Path) -> str:
    """Returns the file's text. Raises JsonFileError."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise JsonFileError(f"{path}: cannot be read: {reason}") from error


def parse_object(text: str, path: Path, holds: str, remedy: str = "mend it") -> dict[str, Any]:
    """Returns the JSON object in a file's text; it may not be empty, and no key in it may stand twice.

    `holds` says what the object is of. Raises JsonFileError.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno} column {error.colno}"
        raise JsonFileError(f"{place}: not valid JSON ({error.msg}); {remedy}") from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise JsonFileError(f"{path}: {reason}; {remedy}") from error
    if not isinstance(document, dict) or not document:
        raise JsonFileError(f"{path}: the file must be a JSON object of {holds}")
    return document


def refuse_unknown(keys: Iterable[str], known: Collection[str], place: str) -> None:
    """Refuses the first key that is not known, and names the nearest known one. Raises JsonFileError."""
    for key in keys:
        if key not in known:
            raise JsonFileError(f"{place}: unknown key {key[:64]!r}: {nearest(key, known)}")


def nearest(name: str, known: Collection[str]) -> str:
    """Returns what an error says after a name that is not known: the nearest one, and all."""
    near = difflib.get_close_matches(name, known, n=1)
    everything = ", ".join(known)
    return f"did you mean {near[0]!r}? Known are {everything}" if near else f"known are {everything}"


def shown(value: Any) -> str:
    """Returns a value of a file as an error shows it: as JSON, cut after 40 characters."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {doubled!r} stands twice in one object")
    return unique
