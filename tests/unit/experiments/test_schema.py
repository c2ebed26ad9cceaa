"""docs/results-schema.md: every field of every file, with its meaning."""

import dataclasses
from pathlib import Path

import pytest

from experiments import schema
from experiments.schema import EXPERIMENTS, Layout, docstrings, document, rows

PAGE = Path(__file__).resolve().parents[3] / "docs" / "results-schema.md"


def test_page_is_what_the_classes_say() -> None:
    """A field that is added, renamed or explained anew changes the page: make it again."""
    assert PAGE.read_text(encoding="utf-8") == document(), "python -m experiments.schema > docs/results-schema.md"


def test_field_without_a_meaning_is_named() -> None:
    """A new field needs a docstring or a line of its own before there is a page at all."""
    kind = dataclasses.make_dataclass("New", [("fresh_s", float)])
    with pytest.raises(KeyError, match=r"New\.fresh_s has no meaning yet"):
        schema._meaning(kind, "fresh_s", {}, Layout("summary.json", kind, {}))


def test_rows_give_nested_fields_with_units_and_types() -> None:
    """Lists, mappings and nullable objects are walked into; the unit is read off the name."""
    found = {row.path: row for row in rows(EXPERIMENTS["compare"][0])}
    row = found["topologies[].runs[].first_failure.rate_at_first_failure_per_s"]
    assert (row.kind, row.unit) == ("number", "1/s")
    assert found["topologies[].loads.*.load"].kind == "object or null"
    assert "topologies[].theory.rate_per_s" in found
    broken = {row.path for row in rows(EXPERIMENTS["failover"][0])}
    assert {"topologies[].figures.recovery_s", "topologies[].windows[].lost", "verdicts[].claim"} <= broken


def test_docstrings_of_fields_are_found_in_extended_classes_too() -> None:
    """A field's text stands below it, wherever in the line of classes that is."""
    found = docstrings(EXPERIMENTS["failover"][1].kind)
    assert found["rate_per_s"] == "Requests offered per second."
