"""`python -m experiments COMMAND`."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cli import WIDTH, Command, UsageError, run_subcommand
from experiments import EXPERIMENTS


def _experiment(name: str) -> Command:
    """Runs the experiment of that name; imported when run: Ctrl-C is one line then too."""

    def run(arguments: Sequence[str]) -> None:
        from experiments.experiment import find_experiment, run_experiment

        run_experiment(find_experiment(name), arguments, _console())

    return run


def _main_of(module: str) -> Command:
    """Runs the module's `main`."""

    def run(arguments: Sequence[str]) -> None:
        main: Callable[[Sequence[str], Any], None] = import_module(f"experiments.{module}").main
        main(arguments, _console())

    return run


def _console() -> Any:
    """A console of at most 80 columns."""
    from rich.console import Console

    return Console(highlight=False, width=min(Console().width, WIDTH))


COMMANDS: dict[str, tuple[Command, str]] = {
    **{name: (_experiment(name), words) for name, words in EXPERIMENTS.items()},
    "choose": (_main_of("choose"), "which deployment to take, how many predictors, cost a year"),
    "server": (_main_of("server"), "preflight of a model server of your own: how it takes load"),
    "report": (_main_of("experiment"), "make tables, charts and report again from a run's records"),
    "export": (_main_of("export"), "one CSV table of all runs' raw records, with the run's name"),
    "diff": (_main_of("diff"), "set two runs of one experiment side by side"),
}


def main(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit status."""
    try:
        return run_subcommand("experiments", COMMANDS, arguments)
    except ModuleNotFoundError as error:
        if error.name == "experiments" or find_spec("rich") is not None:
            raise
        told = f"experiments: {sys.executable} has no {error.name}"
        print(f"{told}: make choose installs it, then .venv/bin/python is to be used", file=sys.stderr)
        return UsageError.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
