"""Experiments that cost little: no chart, few simulated years, and light_model.py for the predictors' model.

`python -m tests.harness.light ROOT COMMAND ...` is `python -m experiments COMMAND ...` so, of the project in ROOT.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from rich.console import Console

from cli import WIDTH, run_subcommand
from experiments.answer import costs
from experiments.experiment import find_experiment, run_experiment
from tests.harness.charts import empty_charts
from tests.harness.project import ROOT

MODULES = ("router.py", "cli.py", "json_files.py", "server_file.py")
FOLDERS = ("routing", "routers", "serving", "experiments", "locust", "topology")
MODEL = Path(__file__).with_name("light_model.py")
FEW_YEARS = 100


def light_project(folder: Path) -> Path:
    """Makes the project there whose predictors load at once: importing scikit-learn is most of what a start costs."""
    root = folder / "project"
    if root.exists():
        return root
    root.mkdir()
    for part in MODULES + FOLDERS:
        (root / part).symlink_to(ROOT / part)
    shutil.copytree(ROOT / "predictors", root / "predictors", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(MODEL, root / "predictors" / "model.py")
    return root


def main(root: str, name: str, *arguments: str) -> int:
    """Runs the experiment; returns its exit status."""

    def run(words: Sequence[str]) -> None:
        run_experiment(find_experiment(name), words, Console(highlight=False, width=WIDTH), Path(root))

    with empty_charts(), patch.object(costs, "YEARS", FEW_YEARS):
        return run_subcommand("experiments", {name: (run, "")}, [name, *arguments])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
