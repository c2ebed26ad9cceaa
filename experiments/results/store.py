"""The files of a run folder: written as things happen, so that no reader sees half of one, and read back."""

import csv
import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TextIO, TypeVar

from cli import UsageError

SETTINGS = "settings.json"


RUN = "run.json"


REQUESTS = "requests.csv"


FIRST_FAILURE = "first_failure.json"


LOADS = "loads.csv"


EVENTS = "events.json"


class Record(Protocol):
    """Any record: a dataclass whose fields are text, numbers, truth values, or what JSON keeps as it is."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=Record)


def write_json(path: Path, document: Any) -> None:
    """Write `document` (a record or plain JSON values) so that no reader ever sees half of it."""
    if dataclasses.is_dataclass(document) and not isinstance(document, type):
        document = dataclasses.asdict(document)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder. Raises UsageError, naming the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; give the folder of a run") from error
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON ({error}); the record is damaged") from error


def read_experiment(folder: Path) -> str:
    """The name of the experiment whose records are in a run folder. Raises UsageError when it holds none."""
    if not (folder / SETTINGS).is_file():
        raise UsageError(f"{folder}: no run stands there: it has no {SETTINGS}")
    document = read_json(folder / SETTINGS)
    return str(document.get("experiment", "")) if isinstance(document, dict) else ""


def request_files(folder: Path) -> list[Path]:
    """The files of a run's requests: one, or one of each worker or kind of load."""
    name = Path(REQUESTS)
    return sorted(folder.glob(f"{name.stem}*{name.suffix}"))


class RowWriter(Generic[R]):
    """Writes records of one class to a CSV file; what was written is in the file at once."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow([column.name for column in dataclasses.fields(kind)])

    def write(self, rows: Iterable[R]) -> None:
        """Append the records and flush."""
        for row in rows:
            values = dataclasses.astuple(row)
            self._writer.writerow([int(value) if isinstance(value, bool) else value for value in values])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_rows(kind: type[R], path: Path) -> Iterator[R]:
    """Read a CSV file of records, none where there is no file. Raises UsageError for a damaged one.

    A last line without its end is one that is being written: it is left out.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        whole = (line for line in file if line.endswith("\n"))
        for number, row in enumerate(csv.DictReader(whole), start=2):
            yield build(kind, row, f"{path}, line {number}")


def build(kind: type[R], fields: Mapping[str, Any], where: object) -> R:
    """Build a record from a JSON object or a CSV row; keys that it does not know are left out. Raises UsageError."""
    known = [f for f in dataclasses.fields(kind) if f.name in fields or f.default is dataclasses.MISSING]
    try:
        return kind(**{f.name: _value(f.type, fields[f.name]) for f in known})
    except KeyError as error:
        raise UsageError(f"{where}: {error.args[0]} is missing; the record is damaged") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}; the record is damaged") from error


def _value(kind: Any, value: Any) -> Any:
    """Read a CSV cell, which is text, as its field's type; JSON values have theirs already."""
    if kind is bool:
        return value if isinstance(value, bool) else bool(int(value))
    return kind(value) if kind in (int, float) else value
