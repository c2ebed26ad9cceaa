"""The files of a run folder: written so that no reader gets half of one, read and checked by pydantic."""

import csv
import functools
import json
import os
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, Generic, TextIO, TypeVar

from cli import UsageError
from experiments.results.records import LEFT_OUT_EMPTY, field_names

SETTINGS = "settings.json"
RUN = "run.json"
REQUESTS = "requests.csv"
FIRST_FAILURE = "first_failure.json"
LOADS = "loads.csv"
EVENTS = "events.json"

R = TypeVar("R")


def write_json(path: Path, document: Any) -> None:
    """Writes `document`, of records and plain JSON values, in one step: no reader ever gets half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=2, default=_fields) + "\n", encoding="utf-8")
    os.replace(part, path)


def as_json(document: Any) -> Any:
    """The document as a reader of its file gets it: objects, lists and plain values."""
    return json.loads(json.dumps(document, default=_fields))


def _fields(record: Any) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in field_names(type(record))}
    left_out = {field.name for field in fields(record) if field.metadata == LEFT_OUT_EMPTY and not values[field.name]}
    return {name: value for name, value in values.items() if name not in left_out}


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run folder. Raises UsageError, naming the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; give the folder of a run") from error
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON ({error}); the record is damaged") from error


def read_record(kind: type[R], path: Path) -> R:
    """Reads a JSON file that is one record, or a list of records. Raises UsageError, naming file and field."""
    return build(kind, read_json(path), path)


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
        self._names = field_names(kind)
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(self._names)

    def write(self, rows: Iterable[R]) -> None:
        """Appends the records and flushes."""
        for row in rows:
            values = [getattr(row, name) for name in self._names]
            self._writer.writerow([int(value) if isinstance(value, bool) else value for value in values])
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class RowReader:
    """Reads a CSV file that may still grow, its head as the first row; a last line is left out until it has its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def read(self) -> Iterator[list[str]]:
        """The whole rows that have come since the last call; none while there is no file."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            yield from filter(None, csv.reader(self._whole_lines(file)))

    def skip_to_last(self, size: int) -> None:
        """Leaves out what stands before the last `size` bytes of the file."""
        with self._path.open("rb") as file:
            start = file.seek(0, os.SEEK_END) - size
            if start > self._position:
                file.seek(start)
                self._position = start + len(file.readline())

    def _whole_lines(self, file: BinaryIO) -> Iterator[str]:
        for line in file:
            if not line.endswith(b"\n"):
                return
            self._position += len(line)
            yield line.decode("utf-8", "replace")


def read_rows(kind: type[R], path: Path) -> Iterator[R]:
    """Reads the records in a CSV file, but one that is being written; none without the file. Raises UsageError."""
    rows = RowReader(path).read()
    head = next(rows, [])
    for number, row in enumerate(rows, start=2):
        yield build(kind, dict(zip(head, row, strict=False)), f"{path}, line {number}")


def build(kind: type[R], value: Any, where: object) -> R:
    """Builds a record from JSON values or CSV cells; keys that it does not know are left out. Raises UsageError."""
    try:
        reader: Any = kind  # mypy takes type[R] for unhashable
        record: R = _adapter(reader).validate_python(value)
    except ValueError as error:
        raise UsageError(f"{where}: {_first_mistake(error)}; the record is damaged") from error
    return record


@functools.cache
def _adapter(kind: Any) -> Any:
    """Makes what reads a record; pydantic is imported here, for writers and `--help` need none."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first_mistake(error: Any) -> str:
    """The field at fault and what is wrong with it, of a pydantic ValidationError."""
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"])) or "record"
    if first["type"] == "missing":
        return f"{name} is missing"
    return f"{name} is {reprlib.repr(first['input'])}: {first['msg']}"
