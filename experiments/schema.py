"""The layout of every file that a run leaves: a page for readers, and JSON Schema for programs, from the classes.

`python -m experiments.schema` prints docs/results-schema.md, with `--json` the JSON Schema of every file. A field's
meaning is the docstring below it in its class or, of a figure, its definition.
"""

import ast
import inspect
import json
import pkgutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from cli import Parser, run_command
from experiments import EXPERIMENTS
from experiments.results.records import RecordFile, field_names, record_files

HEAD = """\
# The files of a run folder, field by field

`python -m experiments compare`, `failover` and `blocking` leave raw records in `results/<run>/`; `summary.json`,
charts and `report.html` are computed from them alone. A summary names its layout in `schema` (`compare/1`,
`failover/1`, `blocking/1`): the number changes when a field is renamed, moved or given another meaning; a new
field does not change it.

Paths: `[]` stands for each entry of a list, `.*` for each entry of an object. Moments are seconds since 1970
(epoch) unless said otherwise. A cell of a CSV file that is empty is an empty text. A file of records is of the run
in whose folder it stands; `python -m experiments export results/<run>` joins those of all runs into one table whose
first column, `run`, names the folder.

Figures over repeats are objects of `median`, `low`, `high` (the range) and `count` (the runs in which there was
such a figure), or null where there was none in any run. Theory's figures are objects of `median`, `p5` and `p95`:
90 % of runs lie between the last two.

This page is made from the classes that write the files: `python -m experiments.schema > docs/results-schema.md`. A
test holds it to them. `python -m experiments.schema --json` prints the same as JSON Schema.
"""

EXPLAINED_IN_HEAD = ("RunStats", "Spread")

UNITS = {
    "_per_s": "1/s",
    "_s": "s",
    "_erlangs": "erlangs",
    "_share": "share, 0 to 1",
    "availability": "share, 0 to 1",
    "erlang_b": "share, 0 to 1",
}
"""End of a name -> its unit; the first that fits."""

WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
CSV_WORDS = WORDS | {"boolean": "1 or 0"}


@dataclass(frozen=True)
class Row:
    """One field of a file."""

    path: str
    kind: str
    unit: str
    meaning: str


class _FieldsInOrder(GenerateJsonSchema):
    """Gives the fields of a record the order of its file, and the docstrings below them as descriptions."""

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """Makes the JSON Schema of one class."""
        made, kind = super().dataclass_schema(schema), schema["cls"]
        texts = docstrings(kind)
        made["properties"] = {name: made["properties"][name] for name in field_names(kind)}
        for name, field in made["properties"].items():
            field.update({"description": texts[name]} if name in texts else {})
        return made


def docstrings(kind: type) -> dict[str, str]:
    """Field -> the text that stands below it in its class, and in the classes that this one extends."""
    found: dict[str, str] = {}
    for each in reversed([base for base in kind.__mro__ if is_dataclass(base)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
        for above, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(above, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(above.target, ast.Name):
                found[above.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def json_schema(file: RecordFile) -> dict[str, Any]:
    """The JSON Schema of a file, of a row where it is a CSV file. Raises KeyError for a field without a meaning."""
    kind = pkgutil.resolve_name(file.kind) if isinstance(file.kind, str) else file.kind
    definitions: Mapping[str, str] = pkgutil.resolve_name(file.definitions) if file.definitions else {}
    schema = TypeAdapter(kind).json_schema(schema_generator=_FieldsInOrder)
    for record in (schema, *schema.get("$defs", {}).values()):
        for name, field in record.get("properties", {}).items():
            if "description" not in field and name not in definitions:
                raise KeyError(f"{record['title']}.{name} has no meaning yet: give it a docstring")
            field.setdefault("description", definitions.get(name))
            if name == "figures" and file.figures:
                names, each = pkgutil.resolve_name(file.figures), field["additionalProperties"]
                field["properties"] = {figure: each | {"description": definitions[figure]} for figure in names}
    return schema


def rows(file: RecordFile) -> Iterator[Row]:
    """Every field of the file, nested ones too; a summary's settings are those of settings.json."""
    schema = json_schema(file)
    words = CSV_WORDS if file.name.endswith(".csv") else WORDS
    record = _inside(schema, schema)[1] if "items" in schema else schema
    return _rows(record, "", schema, words)


def _rows(record: Mapping[str, Any], prefix: str, schema: Mapping[str, Any], words: Mapping[str, str]) -> Iterator[Row]:
    for name, field in record.get("properties", {}).items():
        suffix, inner = _inside(field, schema)
        path = f"{prefix}{name}"
        unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
        yield Row(path + suffix, _words(field, words), unit, field["description"])
        yield from _rows(field, f"{path}.", schema, words)
        if name != "settings":
            yield from _rows(inner, f"{path}{suffix}.", schema, words)


def _inside(field: Any, schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What a field's path gets, [] for a list and .* for an object's entries, and the record whose fields follow."""
    if not isinstance(field, dict):
        return "", {}
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return "", {} if name in EXPLAINED_IN_HEAD else schema["$defs"][name]
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if key in field:
            below, record = _inside(field[key], schema)
            return suffix + (below if record else ""), record
    found = [_inside(each, schema) for each in field.get("anyOf", ())]
    return next((each for each in found if each[1]), ("", {}))


def _words(field: Any, words: Mapping[str, str]) -> str:
    """A type as a reader of JSON or CSV meets it."""
    if not isinstance(field, dict):
        return "any"
    if "anyOf" in field:
        return " or ".join(_words(each, words) for each in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_words(field['items'] if 'items' in field else field['prefixItems'][0], words)}"
    if "additionalProperties" in field:
        return f"object: name to {_words(field['additionalProperties'], words)}"
    return words.get(field.get("type", ""), "object")


def document() -> str:
    """The whole of docs/results-schema.md."""
    lines = [HEAD]
    for experiment in EXPERIMENTS:
        lines.append(f"## `{experiment}`\n")
        for file in record_files(experiment):
            lines += [f"### `{file.name}`\n\n{file.what}\n", "| field | type | unit | meaning |", "|---|---|---|---|"]
            lines += [*map(_line, rows(file)), ""]
    return "\n".join(lines)


def _line(row: Row) -> str:
    """One line of a table; meanings written alike: a capital, no full stop."""
    meaning = row.meaning.rstrip(".").replace("|", "\\|")
    return f"| `{row.path}` | {row.kind} | {row.unit} | {meaning[:1].upper()}{meaning[1:]} |"


def all_schemas() -> dict[str, dict[str, Any]]:
    """Experiment -> file -> its JSON Schema."""
    return {name: {file.name: json_schema(file) for file in record_files(name)} for name in EXPERIMENTS}


def main() -> None:
    """Runs the command."""
    parser = Parser(prog="python -m experiments.schema", description="Print the layout of every file of a run folder.")
    parser.add_argument("--json", action="store_true", help="as JSON Schema: experiment, file, its schema")
    print(json.dumps(all_schemas(), indent=2) if parser.parse_args().json else document().rstrip("\n"))


if __name__ == "__main__":
    run_command("experiments.schema", main)
