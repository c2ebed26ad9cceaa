"""`python -m experiments COMMAND`."""

import sys
from collections.abc import Sequence
from importlib import import_module

from cli import Command, run_subcommand

WIDTH = 80


MODULES = {"compare": "compare.run", "blocking": "blocking.run", "failover": "failover.command"}


def _command(name: str) -> Command:
    """The command's `main` with a console of at most 80 columns; imported when run: Ctrl-C is one line then too."""

    def run(arguments: Sequence[str]) -> None:
        from rich.console import Console

        console = Console(highlight=False, width=min(Console().width, WIDTH))
        import_module(f"experiments.{MODULES.get(name, name)}").main(arguments, console)

    return run


COMMANDS: dict[str, tuple[Command, str]] = {
    "compare": (_command("compare"), "swarm each topology until its first failure, beside theory"),
    "blocking": (_command("blocking"), "offer Poisson arrivals; the refused share beside Erlang B"),
    "failover": (_command("failover"), "break each topology under load: losses, recovery, six metrics"),
    "report": (_command("report"), "make tables, charts and report again from a run's records"),
    "export": (_command("export"), "one CSV table of all runs' raw records, with the run's name"),
    "diff": (_command("diff"), "set two runs of one experiment side by side"),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status."""
    return run_subcommand("experiments", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
