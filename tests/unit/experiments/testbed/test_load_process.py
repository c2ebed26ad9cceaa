"""A load generator's process: waited for with a deadline, and gone with its context."""

from pathlib import Path

import pytest

from cli import CommandError
from experiments.testbed import load_process
from experiments.testbed.load_process import LoadProcess
from experiments.testbed.signals import StopRequest


def start(folder: Path, program: str) -> LoadProcess:
    """Starts a module that is this program."""
    (folder / "load.py").write_text(program)
    return LoadProcess("generator", ["load"], {"--rate": 5}, folder / "log", folder)


def test_wait_until_ended_returns_at_the_end_with_its_options_given(tmp_path: Path) -> None:
    """Name and value of each option; the check is called at least once."""
    checks: list[int] = []
    with start(tmp_path, "import sys; print(sys.argv[1:])") as load:
        load.wait_until_ended(20.0, lambda: checks.append(1), StopRequest())
    assert (load.exit_status, load.log.read_text()) == (0, "['--rate', '5']\n")
    assert checks


def test_wait_until_ended_gives_up_on_one_that_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name and log stand in the error, and no process is left."""
    monkeypatch.setattr(load_process, "OVERHEAD_S", 0.0)
    with (
        pytest.raises(CommandError, match="generator has not ended after 0 s"),
        start(tmp_path, "import time; time.sleep(60)") as load,
    ):
        load.wait_until_ended(0.0, lambda: None, StopRequest())
    assert load.exit_status is not None
