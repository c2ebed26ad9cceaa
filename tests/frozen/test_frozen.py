"""What users and other programs read stays as it is: summaries, tables, pages, help texts, the admin port's answers.

A change that is meant to be seen renews tests/frozen/expected (produce.py says how); any other leaves it alone.
"""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.frozen.produce import EXPECTED, HELPS, RUNS, of_help, of_router, of_run


def assert_as_kept(made: Iterable[tuple[str, str]]) -> None:
    """Compares each text with the kept one, to the letter."""
    made = dict(made)
    assert made
    for name, text in made.items():
        assert text == (EXPECTED / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("name", RUNS)
def test_report_of_an_old_run_is_as_it_was(name: str, tmp_path: Path) -> None:
    """Names, order and values in summary.json, tables, page, export and diff."""
    assert_as_kept(of_run(name, tmp_path))


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help otherwise in other Pythons")
@pytest.mark.parametrize("name", HELPS)
def test_help_of_every_command_is_as_it_was(name: str) -> None:
    """Options, defaults and examples."""
    assert_as_kept([(f"help/{name}.txt", of_help(name))])


@pytest.mark.parametrize("engine", ["flask", "haproxy"])
def test_admin_port_answers_as_it_did(engine: str, tmp_path: Path) -> None:
    """Names, order and values of GET /topology and GET /metrics."""
    if engine == "haproxy" and shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed")
    assert_as_kept(of_router(engine, tmp_path))
