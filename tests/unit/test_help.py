"""--help of every command: one example at least, in 80 columns. And how a command ends that is interrupted."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from experiments import __main__ as experiments
from tests.command_lines import WIDTH, assert_has_help, assert_helpful

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["router.py", "predictors/predict1.py"]  # the other predictors differ in name and port only
MODULES = [
    "experiments.blocking.poisson_load",
    "routing.kubernetes",
    *(["routing.haproxy"] if (ROOT / "routing/haproxy/__main__.py").is_file() else []),
]


@pytest.mark.parametrize("name", ["", *experiments.COMMANDS])
def test_help_of_experiments_has_an_example_in_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However wide the terminal is."""
    assert_has_help(experiments.main, name, "-m experiments", capsys, monkeypatch)


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """Command -> its help, as a process prints it into a terminal of 80 columns; all at once."""
    commands = {script: [script] for script in SCRIPTS} | {f"-m {module}": ["-m", module] for module in MODULES}
    environment = os.environ | {"COLUMNS": str(WIDTH)}

    def printed(words: list[str]) -> str:
        command = [sys.executable, *words, "--help"]
        return subprocess.run(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
        ).stdout

    with ThreadPoolExecutor() as pool:
        return dict(zip(commands, pool.map(printed, commands.values()), strict=True))


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
