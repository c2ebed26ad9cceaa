"""`python -m benchmarks COMMAND`."""

import sys
from collections.abc import Sequence

from benchmarks import choosing, clients, inflight, memory, report, scaling, state_writes, throughput
from cli import Command, run_subcommand

COMMANDS: dict[str, tuple[Command, str]] = {
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
    """Runs one command; returns its exit status."""
    return run_subcommand("benchmarks", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
