"""--help of every command: one example at least, in 80 columns. And how a command ends that is interrupted."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import __main__ as experiments

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ["router.py", "predictors/predict1.py"]  # the other predictors differ in name and port only
MODULES = [
    "experiments.poisson_load",
    *(["routing.haproxy"] if (ROOT / "routing/haproxy/__main__.py").is_file() else []),
]
WIDTH = 80


def assert_helpful(text: str, command: str) -> None:
    """Check for an example that can be typed, and for lines that fit."""
    assert "example" in text
    assert f"python {command}" in text.partition("example")[2]
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("name", ["", *experiments.COMMANDS])
def test_help_of_experiments_has_an_example_in_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However wide the terminal is."""
    monkeypatch.setenv("COLUMNS", "200")
    with contextlib.suppress(SystemExit):
        assert experiments.main([*([name] if name else []), "--help"]) == 0
    assert_helpful(capsys.readouterr().out, f"-m experiments {name}".rstrip())


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """Command -> its help, as a process prints it into a terminal of 80 columns; all at once."""
    commands = {script: [script] for script in SCRIPTS} | {f"-m {module}": ["-m", module] for module in MODULES}
    environment = os.environ | {"COLUMNS": str(WIDTH)}
    children = {
        command: subprocess.Popen([sys.executable, *words, "--help"], cwd=ROOT, env=environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for command, words in commands.items()
    }  # fmt: skip
    return {command: child.communicate(timeout=60)[0] for command, child in children.items()}


@pytest.mark.parametrize("command", [*SCRIPTS, *(f"-m {module}" for module in MODULES)])
def test_help_of_a_program_has_an_example_in_80_columns(command: str, helps: dict[str, str]) -> None:
    """Router and predictors, started as a user starts them."""
    assert_helpful(helps[command], command)


def test_interrupted_command_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while a report is made: no traceback, the shell's status for it."""

    def interrupted(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(experiments.COMMANDS, "report", (interrupted, ""))
    assert experiments.main(["report", "x"]) == 130
    assert capsys.readouterr().err.strip() == "experiments report: stopped by SIGINT"
