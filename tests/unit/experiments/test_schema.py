"""The layout of every file: docs/results-schema.md and the JSON Schema hold every field, with its meaning."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from experiments.results.records import RecordFile, Settings, record_files
from experiments.schema import all_schemas, document, json_schema, rows

PAGE = Path(__file__).resolve().parents[3] / "docs" / "results-schema.md"


@dataclass(frozen=True, kw_only=True)
class Fresh(Settings):
    """Settings with a field of their own."""

    ORDER = (
        "fresh_s", "experiment", "command", "started_at", "service_time_s", "machine", "versions", "at_once", "margins",
        "server", "topologies", "engine", "routers",
    )  # fmt: skip
    fresh_s: float


def file_of(experiment: str, name: str) -> RecordFile:
    """One of the files that an experiment leaves."""
    return next(file for file in record_files(experiment) if file.name == name)


def test_page_is_what_the_classes_say() -> None:
    """A field that is added, renamed or explained anew changes the page: make it again."""
    assert PAGE.read_text(encoding="utf-8") == document(), "python -m experiments.schema > docs/results-schema.md"


def test_field_without_a_meaning_is_named() -> None:
    """A new field needs a docstring, or a definition, before there is a page at all; inherited ones have theirs."""
    with pytest.raises(KeyError, match=r"Fresh\.fresh_s has no meaning yet"):
        json_schema(RecordFile("settings.json", Fresh, "of a test"))


def test_rows_give_nested_fields_with_units_and_types() -> None:
    """Lists, mappings and nullable objects are walked into; the unit is read off the name."""
    found = {row.path: row for row in rows(file_of("compare", "summary.json"))}
    row = found["topologies[].runs[].first_failure.rate_at_first_failure_per_s"]
    assert (row.kind, row.unit) == ("number", "1/s")
    assert found["topologies[].loads.*.load"].kind == "object or null"
    assert "topologies[].theory.rate_per_s" in found
    failover = {row.path for row in rows(file_of("failover", "summary.json"))}
    assert {"topologies[].figures.recovery_s", "topologies[].windows[].lost", "verdicts[].claim"} <= failover
    assert [row.path for row in rows(file_of("compare", "events.json"))] == ["time", "event", "predictor", "reason"]
    assert next(row.kind for row in rows(file_of("compare", "loads.csv")) if row.path == "status") == "1 or 0"


def test_json_schema_gives_every_field_a_description_in_the_order_of_the_file() -> None:
    """A program that reads the files gets the same as a reader of the page."""
    schemas = all_schemas()
    records: list[dict[str, Any]] = []
    for schema in (each for files in schemas.values() for each in files.values()):
        records += [schema, *schema.get("$defs", {}).values()]
    assert all(field["description"] for record in records for field in record.get("properties", {}).values())
    assert list(schemas["blocking"]["requests.csv"]["properties"])[:2] == ["scheduled_at_s", "sent_at_s"]
    assert schemas["compare"]["events.json"]["type"] == "array"
