"""`python -m benchmarks COMMAND`: which command runs, and how an error looks."""

import sys
from collections.abc import Callable, Sequence

from benchmarks import choosing, clients, inflight, memory, report, scaling, state_writes, throughput
from experiments.errors import ExperimentError

COMMANDS: dict[str, tuple[Callable[[Sequence[str]], None], str]] = {
    "throughput": (throughput.main, "rates, added latency, CPU and memory, beside the router's peers"),
    "inflight": (inflight.main, "500 requests in flight at 50 predictors, held"),
    "choosing": (choosing.main, "choosing among 1,000 predictors beside choosing among 3"),
    "memory": (memory.main, "the router's memory over 300,000 requests"),
    "state": (state_writes.main, "how often the live topology file is written, and what it costs"),
    "clients": (clients.main, "the ways of forwarding, without a server in front"),
    "scaling": (scaling.main, "CPU time per request of each part, and what follows from it"),
    "report": (report.main, "print a run's tables, or put them into docs/performance.md"),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status: 0, 1 (could not go on), 2 (a user's mistake), 128 + signal."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name not in COMMANDS:
        wanted = f"unknown command {name!r}" if name else "no command"
        print(f"benchmarks: {wanted}: give {' or '.join(COMMANDS)} (--help lists them)", file=sys.stderr)
        return 2
    command, _ = COMMANDS[name]
    try:
        command(rest)
    except ExperimentError as error:
        print(f"benchmarks {name}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"benchmarks {name}: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _usage() -> str:
    lines = [f"  {name:12}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: python -m benchmarks COMMAND [options]", "", *lines, "", "example: python -m benchmarks throughput"]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
