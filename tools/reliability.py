"""`python -m tools.reliability FILE`: what the fault tests measured, one JSON line each, as a Markdown table."""

import csv
import json
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.harness.measurements import VARIABLE, Value

UNITS = {"per_s": "/s", "percent": "%", "mib": "MiB", "ms": "ms", "s": "s"}
USER_ERROR = 2


class Line(NamedTuple):
    """One line of the table, before anything is measured."""

    fault: str
    how: str
    must_show: str


with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as _file:
    LINES = {key: Line(*cells) for key, *cells in islice(csv.reader(_file), 1, None)}
"""The lines in the table's order. A fault's name begins with its line's key; one of no line comes last, as it is."""


class FiguresError(Exception):
    """A file of figures that cannot be read; the text names the line."""


def table(lines: Iterable[str]) -> str:
    """Returns the measurements as a Markdown table; several of one fault as their range. Raises FiguresError."""
    runs = _by_fault(lines)
    order = [*LINES, ""]
    faults = sorted(runs, key=lambda fault: order.index(_key(fault)))
    rows = [(*_line(fault), _in_words(runs[fault])) for fault in faults]
    head = [("fault", "how", "must show", "measured"), ("---",) * 4]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in head + rows)


def _key(fault: str) -> str:
    """Returns the longest key of LINES that the name begins with, empty if there is none."""
    return max((key for key in LINES if fault.startswith(key)), key=len, default="")


def _line(fault: str) -> Line:
    key = _key(fault)
    line = LINES.get(key, Line("", "", ""))
    return line._replace(fault=line.fault + fault.removeprefix(key))


def _by_fault(lines: Iterable[str]) -> dict[str, list[dict[str, Value]]]:
    runs: dict[str, list[dict[str, Value]]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            run = json.loads(line)
            runs.setdefault(run["fault"].partition(": ")[0], []).append(dict(run["measured"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FiguresError(f"line {number} is no figure of a fault test: {line.strip()[:60]!r}") from error
    return runs


def _in_words(runs: list[dict[str, Value]]) -> str:
    """Joins all keys, in the order in which they first appear; `of` belongs to the key before it."""
    text = ""
    for key in dict.fromkeys(key for run in runs for key in run):
        values = [run[key] for run in runs if key in run]
        text += " of " + _range(values) if key == "of" and text else "; " + _named(key, values)
    return text.removeprefix("; ")


def _named(key: str, values: list[Value]) -> str:
    ending = next((ending for ending in UNITS if key.endswith(f"_{ending}")), "")
    name = key.removesuffix(f"_{ending}").replace("_", " ")
    return f"{name} {_range(values)} {UNITS.get(ending, '')}".strip()


def _range(values: list[Value]) -> str:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        return ", ".join(dict.fromkeys(map(str, values)))
    low, high = (str(end) if isinstance(end, int) else f"{end:.2f}" for end in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"


def main(arguments: list[str]) -> int:
    """Prints the table of the file named; returns the exit status."""
    if len(arguments) != 1:
        print(f"reliability: {len(arguments)} arguments: give the one file that {VARIABLE} named", file=sys.stderr)
        return USER_ERROR
    try:
        print(table(Path(arguments[0]).read_text(encoding="utf-8").splitlines()), end="")
    except (OSError, FiguresError, UnicodeDecodeError) as error:
        reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else error
        print(f"reliability: {arguments[0]}: {reason}", file=sys.stderr)
        return USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
