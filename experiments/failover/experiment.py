"""The command line of `python -m experiments failover`, and what the experiment consists of."""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from cli import Parser, UsageError, number_reader, whole_number
from experiments.experiment import Experiment
from experiments.failover import report
from experiments.failover.faults import FAULTS
from experiments.failover.rate import choose_rate
from experiments.failover.records import FAILOVER, DomainPlan, FailoverSettings, FaultRun, read_fault_runs
from experiments.failover.run import run_all
from experiments.failover.summary import FailoverSummary
from experiments.options import DEFAULT_TOPOLOGIES, POST_WAIT_S, SEVERAL, add_shared, repeating_command
from experiments.results.environment import describe_start
from experiments.testbed.deployment import Programs
from experiments.testbed.topologies import Topology, find_topologies


@dataclass(frozen=True)
class Size:
    """What the quick version and the full one do by default."""

    repeats: int
    faults: tuple[str, ...]
    window_s: float
    hold_down_s: float
    capacity_spawn_rate_per_s: float


QUICK = Size(1, tuple(name for name in FAULTS if name != "region"), 10.0, 2.0, 3.0)
FULL = Size(5, tuple(FAULTS), 20.0, 5.0, 1.0)
AT_ONCE = 3
"""Runs side by side: they wait more than they compute, so the figures are those of runs one after the other."""

steady_seconds = number_reader(float, lambda value: 0 < value <= 600, "seconds, above 0 and at most 600")
offered_rate_per_s = number_reader(
    float, lambda value: 0 < value <= 300, "requests per second, above 0 and at most 300"
)
"""At most what one Locust process sends on time."""

EXAMPLES = """\
examples:
  python -m experiments failover
  python -m experiments failover --topologies 2region --faults region,upgrade
  python -m experiments failover --full --seed 7
"""


def plan(options: argparse.Namespace, root: Path) -> tuple[FailoverSettings, Callable[[Path, Console], None]]:
    """The settings, and what does every run. Raises UsageError."""
    programs = Programs(root)
    topologies = find_topologies(options.topologies or DEFAULT_TOPOLOGIES, programs.topologies)
    settings = _settings(options, topologies, root)
    return settings, partial(run_all, settings, topologies, programs)


def _settings(options: argparse.Namespace, topologies: Sequence[Topology], root: Path) -> FailoverSettings:
    size = FULL if options.full else QUICK
    plans = [DomainPlan(t.name, t.capacities(options.threshold), t.roles(), t.regions()) for t in topologies]
    rate_per_s, reason = choose_rate(plans, options.service_time)
    repeats = options.repeats or size.repeats
    settings = FailoverSettings(
        experiment=FAILOVER,
        command="",
        topologies=plans,
        faults=_faults(options.faults) or list(size.faults),
        repeats=repeats,
        seed=int(time.time()) % 1_000_000 if options.seed is None else options.seed,
        rate_per_s=options.rate or rate_per_s,
        rate_reason="as asked for" if options.rate else reason,
        pacing_s=20.0,
        service_time_s=options.service_time,
        threshold=options.threshold,
        hold_down_s=size.hold_down_s if options.hold_down is None else options.hold_down,
        repair_after_s=options.repair_after,
        window_s=options.window or size.window_s,
        capacity_service_time_s=1.0,
        capacity_spawn_rate_per_s=0.0 if options.no_capacity else size.capacity_spawn_rate_per_s,
        capacity_wait_s=list(POST_WAIT_S),
        at_once=min(options.at_once or AT_ONCE, len(topologies) * repeats),
        engine=options.engine,
        **describe_start(root),
    )
    return replace(settings, command=_command(settings, options))


def _command(settings: FailoverSettings, options: argparse.Namespace) -> str:
    names = ("repeats", "seed", "service_time_s", "threshold", "hold_down_s", "repair_after_s", "window_s", "at_once")
    values = {
        "topologies": ",".join(options.topologies or [plan.name for plan in settings.topologies]),
        "faults": ",".join(settings.faults),
        **{name.removesuffix("_s"): getattr(settings, name) for name in names},
        **({"rate": options.rate} if options.rate else {}),
        "engine": options.engine,
    }
    flags = [flag for flag, given in (("--full", options.full), ("--no-capacity", options.no_capacity)) if given]
    return repeating_command(FAILOVER, values, *flags)


def _faults(texts: Sequence[str] | None) -> list[str]:
    names = [name.strip() for text in texts or () for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FAULTS:
            raise UsageError(f"argument --faults: unknown fault {name!r}: give {', '.join(FAULTS)}")
    return list(dict.fromkeys(names))


def make_parser() -> Parser:
    """The command line's parser."""
    parser = Parser(
        prog="python -m experiments failover",
        description="Break each topology under a steady load, one fault after the other; print and write what it cost.",
        epilog="faults:\n" + "".join(f"  {name:16}{fault.what}\n" for name, fault in FAULTS.items()) + "\n" + EXAMPLES,
    )
    add = parser.add_argument
    add("--full", action="store_true",
        help="every fault, 5 repeats, longer windows, capacity at the post's pace")  # fmt: skip
    add_shared(parser, "--topologies", help=f"topologies of the table{SEVERAL}")
    add("--faults", nargs="+", action="extend", metavar="NAME", help="faults, with commas between (default: all)")
    add("--repeats", type=whole_number, metavar="N", help="runs of each topology (default: 1; with --full 5)")
    add("--seed", type=whole_number, metavar="N", help="seed of the faults' moments and targets (default: a new one)")
    add("--rate", type=offered_rate_per_s, metavar="PER_S",
        help="requests offered per second (default: half of what the weakest survives with one down)")  # fmt: skip
    add_shared(parser, "--service-time", default=0.2)
    add_shared(parser, "--threshold")
    add("--repair-after", type=steady_seconds, default=3.0, metavar="S",
        help="the operator's delay, from a fault to its repair (default: 3)")  # fmt: skip
    add("--window", type=steady_seconds, metavar="S", help="least length of a fault's window (default: 10; full: 20)")
    add("--hold-down", type=steady_seconds, metavar="S", help="the router's hold-down (default: 2; with --full 5)")
    add("--no-capacity", action="store_true", help="leave the measurement of production capacity out")
    add("--at-once", type=whole_number, metavar="N",
        help="runs side by side (default: 3; fewer where the machine lags)")  # fmt: skip
    add_shared(parser, "--engine")
    add_shared(parser, "--out")
    return parser


EXPERIMENT: Experiment[FailoverSettings, Sequence[FaultRun], FailoverSummary] = Experiment(
    FAILOVER, make_parser, plan, FailoverSettings, read_fault_runs, report
)
