"""`python -m experiments COMMAND`: which command runs, and how an error looks."""

import signal
import sys
from collections.abc import Callable, Sequence

from rich.console import Console

from experiments import blocking, compare, diff, failover, report
from experiments.errors import ExperimentError

COMMANDS: dict[str, tuple[Callable[[Sequence[str], Console], None], str]] = {
    "compare": (compare.main, "swarm each topology until its first failure, beside theory"),
    "blocking": (blocking.main, "offer Poisson arrivals; the refused share beside Erlang B"),
    "failover": (failover.main, "break each topology under load: losses, recovery, six metrics"),
    "report": (report.main, "make tables, charts and report again from a run's records"),
    "diff": (diff.main, "set two runs of one experiment side by side"),
}
WIDTH = 80


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status: 0, 1 (could not go on), 2 (a user's mistake), 128 + signal."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name not in COMMANDS:
        wanted = f"unknown command {name!r}" if name else "no command"
        print(f"experiments: {wanted}: give {' or '.join(COMMANDS)} (--help lists them)", file=sys.stderr)
        return 2
    command, _ = COMMANDS[name]
    try:
        command(rest, Console(highlight=False, width=min(Console().width, WIDTH)))
    except ExperimentError as error:
        print(f"experiments {name}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"\nexperiments {name}: stopped by SIGINT", file=sys.stderr)
        return 128 + signal.SIGINT
    except OSError as error:
        print(f"experiments {name}: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _usage() -> str:
    lines = [f"  {name:10}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: python -m experiments COMMAND [options]", "", *lines, "", "example: python -m experiments compare"]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
