"""A router's template made into text, and its errors into one line: the file, the line and the nearest known name.

Imports jinja2: whoever only says how the program is used imports this where it is needed.
"""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from cli import UsageError
from experiments.testbed.routers.quoting import FILTERS
from json_files import nearest

NOTHING = jinja2.StrictUndefined()._undefined_obj
"""What stands for the owner of a name that has none."""

FAILURES = (
    jinja2.TemplateError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    OSError,
)
"""What a template may raise; OSError where it, or one that it includes, cannot be read."""


def rendered(template: Path, values: Mapping[str, Any]) -> str:
    """Returns what becomes of the template. Raises UsageError, with file and line, for one that fails."""
    environment = jinja2.Environment(  # noqa: S701  # no HTML
        loader=jinja2.FileSystemLoader(template.parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=_unknown_among(values),
    )
    environment.filters |= FILTERS
    try:
        return environment.get_template(template.name).render(values)
    except jinja2.TemplateSyntaxError as error:
        place = f"{error.filename or template}, line {error.lineno}"
        raise UsageError(f"{place}: {str(error.message).rstrip('.')}: mend the template") from error
    except FAILURES as error:
        known = error.strerror if isinstance(error, OSError) else None  # none: an included one is not found
        reason = f"cannot be read: {known}" if known else " ".join(str(error).split())
        raise UsageError(f"{_place(error, template)}: {reason}: mend the template") from error


def _unknown_among(values: Mapping[str, Any]) -> type[jinja2.StrictUndefined]:
    """The kind of what a template names and is not given: using it tells the nearest of what is there."""

    class Unknown(jinja2.StrictUndefined):
        def __init__(self, hint: str | None = None, obj: Any = NOTHING, name: str | None = None, *more: Any) -> None:
            if hint is None and isinstance(name, str):
                known = values if obj is NOTHING else [each for each in dir(obj) if not each.startswith("_")]
                hint = f"unknown name {name[:64]!r}: {nearest(name, known)}"
            super().__init__(hint, obj, name, *more)

    return Unknown


def _place(error: BaseException, template: Path) -> str:
    """The file, and the line that was at work last, where one was."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [each for each in frames if not each.filename.endswith(".py") and Path(each.filename).is_file()]
    return f"{lines[-1].filename}, line {lines[-1].lineno}" if lines else str(template)
