"""The command line of `python -m experiments compare`, and what the experiment consists of."""

import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import Parser, number_reader, whole_number
from experiments.compare import report
from experiments.compare.records import CompareSettings, RunRecords, read_runs
from experiments.compare.run import run_comparison
from experiments.compare.summary import ComparisonSummary
from experiments.experiment import Experiment
from experiments.options import (
    DEFAULT_TOPOLOGIES,
    POST_WAIT_S,
    SEVERAL,
    Margins,
    add_margins,
    add_router,
    add_shared,
    chosen_margins,
    margin_options,
    repeating_command,
)
from experiments.results.environment import describe_start
from experiments.results.records import TopologyPlan
from experiments.testbed.chosen_routers import ChosenDeployment, choose_routers
from experiments.testbed.programs import Programs
from experiments.testbed.servers.chosen import ChosenServer, choose_server
from experiments.testbed.topologies import find_topologies
from experiments.theory.first_failure import predict_first_failure

NAME = "compare"
RUN_TIME_S = 180
"""The longest run where theory gives no time."""

LEAST_RUN_TIME_S = 60
MOST_USERS = 5000
SERVICE_TIME_S = 1.0
AT_ONCE = 3
"""Runs side by side: they wait more than they compute, so the figures are those of runs one after the other."""

worker_count = number_reader(int, lambda value: 0 <= value <= 64, "a whole number from 0 to 64")
spawn_rate_per_s = number_reader(float, lambda value: 0 < value <= 100, "users per second, above 0 and at most 100")
"""At most Locust's own advice of 100 a second and process."""

seconds_per_mb = number_reader(float, lambda value: 0 <= value <= 3600, "seconds from 0 to 3600")

REPEATED = (
    "topologies", "repeats", "spawn_rate", "server", "service_time", "payload", "service_time_per_mb", "threshold",
    "run_time", "users", "at_once", "workers", "router", "load_time",
)  # fmt: skip
"""The options in the command that repeats a comparison, where they have a value."""

EXAMPLES = """\
examples:
  python -m experiments compare
  python -m experiments compare --topologies single,3active --repeats 3
  python -m experiments compare --topologies my.json --spawn-rate 5
"""


def make_parser() -> Parser:
    """The command line's parser."""
    parser = Parser(
        prog="python -m experiments compare",
        description="Swarm each topology until its first failure; print and write the figures beside theory's.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add_shared(parser, "--topologies", help=f"topologies to compare{SEVERAL}")
    add("--repeats", type=whole_number, default=1, metavar="N", help="runs of each topology (default: 1)")
    add("--spawn-rate", type=spawn_rate_per_s, default=1.0, metavar="PER_S", help="new users per second (default: 1)")
    add_shared(parser, "--server")
    add_shared(parser, "--service-time", help=f"seconds a prediction takes (default: {SERVICE_TIME_S:g})")
    add("--payload", metavar="FILE", help="a JSON file that every user POSTs (default: they GET)")
    add("--service-time-per-mb", type=seconds_per_mb, default=0.0, metavar="S",
        help="seconds more for each megabyte (1,000,000 bytes) of the payload (default: 0)")  # fmt: skip
    add("--run-time", type=whole_number, metavar="S",
        help="longest run in seconds (default: twice what theory expects of the largest topology)")  # fmt: skip
    add("--users", type=whole_number, metavar="N", help="most users (default: as many as come in the run time)")
    add("--at-once", type=whole_number, metavar="N", help="runs side by side (default: 3; with --server 1)")
    add("--workers", type=worker_count, default=0, metavar="N",
        help="Locust workers that send the load, led by a master (default: 0, one process alone)")  # fmt: skip
    for name in ("--load-time", "--threshold"):
        add_shared(parser, name)
    add_router(parser)
    add_shared(parser, "--out")
    add_margins(parser, "relative_percent")
    return parser


def plan(options: Namespace, root: Path, console: Console) -> tuple[CompareSettings, Callable[[Path, Console], None]]:
    """Settings and what does every run. Raises CommandError."""
    names = options.topologies or DEFAULT_TOPOLOGIES
    topologies = find_topologies(names, Programs(root).topologies, elsewhere=bool(options.server))
    routers = choose_routers(options.router, topologies, root)
    routers.require_installed()
    server = choose_server(
        options, topologies, root, console, service_time_s=SERVICE_TIME_S, capacity=options.threshold
    )
    deployments = routers.deployments(topologies, server.server)
    plans = [_plan_of(each, server.capacity) for each in deployments]
    run_time_s = options.run_time or _default_run_time_s(plans, server.service_time_s, options.spawn_rate)
    users_limit = options.users or min(MOST_USERS, math.ceil(options.spawn_rate * run_time_s))
    margins = chosen_margins(options, Margins())
    at_once = min(server.at_once(options.at_once, AT_ONCE), len(plans) * options.repeats)
    chosen = _repeated(options, server) | {
        "topologies": ",".join(names), "run_time": run_time_s, "users": users_limit,
        "router": routers.to_repeat,
    }  # fmt: skip
    repeated = {name: chosen[name] for name in REPEATED if chosen[name] is not None}
    settings = CompareSettings(
        experiment=NAME,
        command=repeating_command(NAME, repeated | margin_options(margins)),
        topologies=plans,
        repeats=options.repeats,
        spawn_rate_per_s=options.spawn_rate,
        wait_s=list(POST_WAIT_S),
        service_time_s=server.service_time_s,
        threshold=server.capacity,
        run_time_s=run_time_s,
        users_limit=users_limit,
        at_once=at_once,
        workers=options.workers,
        engine=routers.engine,
        routers=routers.records(),
        load_time_s=options.load_time,
        service_time_per_mb_s=options.service_time_per_mb,
        payload=server.payload.record if server.payload else None,
        margins=margins,
        server=server.record,
        **describe_start(root),
    )
    return settings, partial(run_comparison, settings, deployments, Programs(root, server.server), server.payload)


def _plan_of(chosen: ChosenDeployment, capacity: int) -> TopologyPlan:
    topology = chosen.topology
    return TopologyPlan(
        chosen.name, topology.capacities(capacity), topology.roles(), cold=topology.cold(), **chosen.identity
    )


def _repeated(options: Namespace, server: ChosenServer) -> dict[str, Any]:
    """Option -> its value in the command that repeats the comparison; None: it is left out there."""
    own: dict[str, Any] = {"service_time": None, "load_time": None}
    if server.is_own:
        fixed_s = SERVICE_TIME_S if options.service_time is None else options.service_time
        own = {"service_time": fixed_s, "load_time": options.load_time}
    return vars(options) | own | {
        "at_once": server.at_once(options.at_once, AT_ONCE), "server": None, "threshold": None,
        "service_time_per_mb": options.service_time_per_mb or None, **server.to_repeat(options),
    }  # fmt: skip


def _default_run_time_s(plans: Sequence[TopologyPlan], service_time_s: float, spawn_rate_per_s: float) -> int:
    """Twice the time within which theory expects 95 % of the runs of the largest topology to fail."""
    slots = max(plan.warm_slots for plan in plans)
    expected = predict_first_failure(slots, service_time_s, spawn_rate_per_s, POST_WAIT_S)
    if expected.time_s is None:
        return RUN_TIME_S
    return max(LEAST_RUN_TIME_S, math.ceil(2 * expected.time_s.p95))


EXPERIMENT: Experiment[CompareSettings, Sequence[RunRecords], ComparisonSummary] = Experiment(
    NAME, make_parser, plan, CompareSettings, read_runs, report, margins=("relative_percent",)
)
