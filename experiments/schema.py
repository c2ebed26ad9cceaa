"""The layout of every file that a run leaves, as docs/results-schema.md: fields, types, units and meanings.

`python -m experiments.schema` prints it. Fields come from the records' and summaries' classes, so none can be missing;
meanings come from the figures' definitions, from the fields' own docstrings, and from schema_words.py.
"""

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from experiments.blocking import figures as blocking_figures
from experiments.blocking import records as blocking_records
from experiments.compare import figures as metrics
from experiments.compare import records as compare_records
from experiments.compare import summary
from experiments.failover import metrics as broken_metrics
from experiments.failover import records as broken_records
from experiments.failover import summary as broken_summary
from experiments.failover.metrics import FIGURES
from experiments.results import records
from experiments.results.statistics import RunStats
from experiments.schema_words import FIELDS, FILES, HEAD
from experiments.theory.first_failure import Spread

UNITS = {
    "_per_s": "1/s",
    "_s": "s",
    "_erlangs": "erlangs",
    "_share": "share, 0 to 1",
    "availability": "share, 0 to 1",
    "erlang_b": "share, 0 to 1",
}
"""End of a name -> its unit; the first that fits."""

WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}
CSV_WORDS = WORDS | {bool: "1 or 0"}


@dataclass(frozen=True)
class Layout:
    """One file: its name, the class of its contents, and the definitions of its figures."""

    name: str
    kind: type
    definitions: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One field of a file."""

    path: str
    kind: str
    unit: str
    meaning: str


EXPERIMENTS: dict[str, tuple[Layout, ...]] = {
    "compare": (
        Layout("summary.json", summary.ComparisonSummary, metrics.DEFINITIONS),
        Layout("settings.json", compare_records.Settings, {}),
        Layout("run.json", compare_records.Run, {}),
        Layout("requests.csv", compare_records.Request, {}),
        Layout("first_failure.json", compare_records.FirstFailure, metrics.DEFINITIONS),
        Layout("loads.csv", records.LoadSample, {}),
        Layout("events.json", records.Event, {}),
    ),
    "failover": (
        Layout("summary.json", broken_summary.FailoverSummary, broken_metrics.DEFINITIONS),
        Layout("settings.json", broken_records.Settings, {}),
        Layout("run.json", broken_records.Run, {}),
        Layout("requests.csv", broken_records.Offered, {}),
        Layout("faults.csv", broken_records.Action, {}),
    ),
    "blocking": (
        Layout("summary.json", blocking_figures.BlockingSummary, blocking_figures.DEFINITIONS),
        Layout("settings.json", blocking_records.Settings, {}),
        Layout("run.json", blocking_records.Point, {}),
        Layout("requests.csv", blocking_records.Arrival, {}),
    ),
}
"""Experiment -> its files. A failover run's events.json, loads.csv and capacity-*/ are laid out as in a comparison."""


def document() -> str:
    """The whole of docs/results-schema.md."""
    parts = [HEAD]
    for experiment, layouts in EXPERIMENTS.items():
        parts.append(f"## `{experiment}`\n")
        parts += [f"### `{each.name}`\n\n{FILES[experiment, each.name]}\n\n{_table(each)}\n" for each in layouts]
    return "\n".join(parts)


def rows(layout: Layout) -> Iterator[Row]:
    """Every field of the file, nested ones too; a summary's settings are those of settings.json."""
    yield from _rows(layout.kind, "", layout)


def _rows(kind: type, prefix: str, layout: Layout) -> Iterator[Row]:
    hints, own = get_type_hints(kind), docstrings(kind)
    for field in fields(kind):
        path = f"{prefix}{field.name}"
        nested, suffix = _nested(hints[field.name])
        meaning = _meaning(kind, field.name, own, layout)
        yield Row(path + suffix, _words(hints[field.name], layout), _unit(field.name), meaning)
        if field.name == "figures":
            yield from (
                Row(f"{path}.{name}", "object or null", _unit(name), layout.definitions[name]) for name in FIGURES
            )
        elif nested is not None and field.name != "settings":
            yield from _rows(nested, f"{path}{suffix}.", layout)


def _meaning(kind: type, name: str, own: Mapping[str, str], layout: Layout) -> str:
    """The most special meaning that is known. Raises KeyError when there is none."""
    for table, key in ((FIELDS, f"{kind.__name__}.{name}"), (own, name), (layout.definitions, name), (FIELDS, name)):
        if key in table:
            return table[key]
    raise KeyError(f"{kind.__name__}.{name} has no meaning yet: give it a docstring, or a line in schema_words.py")


def docstrings(kind: type) -> dict[str, str]:
    """Field -> the text that stands below it in its class, and in the classes that this one extends."""
    found: dict[str, str] = {}
    for each in reversed([base for base in kind.__mro__ if is_dataclass(base)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
        for above, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(above, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(above.target, ast.Name):
                found[above.target.id] = ast.literal_eval(below.value)
    return found


def _nested(hint: Any) -> tuple[type | None, str]:
    """The class whose fields stand below a field, and what its path gets: [] for a list, .<name> for a mapping."""
    if hint in (RunStats, Spread):
        return None, ""
    if is_dataclass(hint) and isinstance(hint, type):
        return hint, ""
    suffixes: dict[Any, str] = {list: "[]", dict: ".*"}
    suffix = suffixes.get(get_origin(hint), "")
    inner = [_nested(each) for each in get_args(hint)]
    for kind, below in inner:
        if kind is not None:
            return kind, suffix + below
    return None, suffix


def _words(hint: Any, layout: Layout) -> str:
    """A type as a reader of JSON or CSV meets it."""
    words = CSV_WORDS if layout.name.endswith(".csv") else WORDS
    if hint in words:
        return words[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if each is type(None) else _words(each, layout) for each in inner)
    if origin in (list, tuple):
        return f"list of {_words(inner[0], layout)}"
    if origin is dict:
        return f"object: name to {_words(inner[1], layout)}"
    return "object"


def _unit(name: str) -> str:
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")


def _table(layout: Layout) -> str:
    lines = ["| field | type | unit | meaning |", "|---|---|---|---|"]
    lines += [f"| `{row.path}` | {row.kind} | {row.unit} | {_one_line(row.meaning)} |" for row in rows(layout)]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """The text in one line, written like the others: a capital, no full stop."""
    words = " ".join(text.split()).rstrip(".").replace("|", "\\|")
    return words[:1].upper() + words[1:]


if __name__ == "__main__":
    print(document(), end="")
