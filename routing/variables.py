"""The two variables at the top of router.py: reading them, and noticing when router.py is saved with others."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gevent

from routing.state_file import signature

NAMES = ("single", "2active", "3active")
"""What the values 0, 1 and 2 of `topology` stand for, as in the post."""

POLL_INTERVAL_S = 0.2


class VariablesError(Exception):
    """router.py holds a value that cannot be used; the text says where and what is accepted."""


class Variables(NamedTuple):
    """The values in router.py: which topology, and the capacity of a predictor that names none."""

    topology: int
    node_threshold: int


def read(path: Path) -> Variables:
    """Reads the two variables from router.py's text, without running it. Raises VariablesError."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise VariablesError(f"{path.name}, line {error.lineno}: cannot be read as Python: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise VariablesError(f"{path.name}: cannot be read as Python: {error}") from error
    known = ", ".join(f"{number} ({name})" for number, name in enumerate(NAMES))
    return Variables(
        _value(tree, "topology", path, lambda number: 0 <= number < len(NAMES), known),
        _value(tree, "node_threshold", path, lambda number: number >= 1, "a whole number, 1 or more"),
    )


def _value(tree: ast.Module, name: str, path: Path, accepts: Callable[[int], bool], accepted: str) -> int:
    for statement in reversed(tree.body):
        if isinstance(statement, ast.Assign) and any(getattr(t, "id", None) == name for t in statement.targets):
            value = statement.value.value if isinstance(statement.value, ast.Constant) else None
            if isinstance(value, int) and not isinstance(value, bool) and accepts(value):
                return value
            found = ast.unparse(statement)[:60]
            raise VariablesError(f"{path.name}, line {statement.lineno}: {found} is not accepted: give {accepted}")
    raise VariablesError(f"{path.name}: the variable {name} is missing: add it; accepted: {accepted}")


def watch(
    path: Path, known: Variables, on_change: Callable[[Variables], object], on_error: Callable[[str], None]
) -> None:
    """Calls `on_change` whenever the file holds other values than before, `on_error` when wrong ones; never returns.

    `known` are the first values. Where `on_change` returns False, the values are tried again when the file is saved.
    """
    seen = None
    while True:
        gevent.sleep(POLL_INTERVAL_S)
        stamp = signature(path)
        if stamp is None or stamp == seen:  # an editor may have removed it for a moment
            continue
        seen = stamp
        try:
            found = read(path)
        except VariablesError as error:
            on_error(f"{error}; the router goes on as before")
            continue
        if found != known and on_change(found) is not False:
            known = found
