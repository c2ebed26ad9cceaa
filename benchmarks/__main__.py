"""`python -m benchmarks COMMAND`."""

import sys
from collections.abc import Sequence

from benchmarks import clients, own_targets, report, routers, rules, scaling, sidecar, throughput
from cli import Command, run_subcommand

COMMANDS: dict[str, tuple[Command, str]] = {
    "throughput": (throughput.main, "rates, added latency, CPU and memory, beside the router's peers"),
    "routers": (routers.main, "rates and added latency of the routers that experiments have"),
    "inflight": (own_targets.inflight, "500 requests in flight at 50 predictors, held"),
    "choosing": (own_targets.choosing, "choosing among 1,000 predictors beside choosing among 3"),
    "memory": (own_targets.memory, "the router's memory over 300,000 requests"),
    "state": (own_targets.state, "how often the live topology file is written, and what it costs"),
    "sidecar": (sidecar.main, "what the sidecar costs; that no byte differs"),
    "clients": (clients.main, "the ways of forwarding, without a server in front"),
    "scaling": (scaling.main, "CPU time per request of each part, and what follows from it"),
    "rules": (rules.main, "what each rule of the HAProxy configuration costs, in instructions"),
    "report": (report.main, "print a run's tables, or put them into docs/performance.md"),
}


def main(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit status."""
    return run_subcommand("benchmarks", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
