"""`python -m experiments COMMAND`."""

import sys
from collections.abc import Callable, Sequence

from rich.console import Console

from experiments import blocking, compare, diff, failover, report
from experiments.commands import Command, run_one_of

WIDTH = 80


def _shown(command: Callable[[Sequence[str], Console], None]) -> Command:
    """Give the command a console of at most 80 columns."""
    return lambda arguments: command(arguments, Console(highlight=False, width=min(Console().width, WIDTH)))


COMMANDS: dict[str, tuple[Command, str]] = {
    "compare": (_shown(compare.main), "swarm each topology until its first failure, beside theory"),
    "blocking": (_shown(blocking.main), "offer Poisson arrivals; the refused share beside Erlang B"),
    "failover": (_shown(failover.main), "break each topology under load: losses, recovery, six metrics"),
    "report": (_shown(report.main), "make tables, charts and report again from a run's records"),
    "diff": (_shown(diff.main), "set two runs of one experiment side by side"),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status."""
    return run_one_of("experiments", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
