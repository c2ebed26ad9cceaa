"""The command line of `python -m experiments blocking`, and what the experiment consists of."""

import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

from rich.console import Console

from cli import Parser, UsageError, whole_number
from experiments.blocking import report
from experiments.blocking.figures import BlockingSummary
from experiments.blocking.records import BLOCKING, BlockingSettings, Point, PointRecords, read_points
from experiments.blocking.run import CAPACITY, run_points
from experiments.experiment import Experiment
from experiments.options import add_shared, repeating_command
from experiments.results.environment import describe_start
from experiments.testbed.deployment import Programs
from experiments.theory.erlang import erlangs_at_blocking
from experiments.theory.intervals import warm_up_arrivals

SLOTS = (10, 20, 30)
BLOCKING_AIMED = (0.01, 0.05, 0.20)
SERVICE_TIME_S = 1.0
ARRIVALS = 2_000
MOST_RATE_PER_S = 400.0
"""What router, predictors and generator carry on two cores without getting in each other's way."""

EASY_RATE_PER_S = 200.0
"""Points go side by side as long as all together offer no more than this."""

REPEATED = ("service_time", "arrivals", "seed", "at_once")
"""The options in the command that repeats a run."""

EXAMPLES = """\
examples:
  python -m experiments blocking
  python -m experiments blocking --service-time 0.1 --arrivals 5000 --seed 7
"""


def make_parser() -> Parser:
    """The command line's parser."""
    parser = Parser(
        prog="python -m experiments blocking",
        description="Offer Poisson arrivals at fixed rates to 10, 20 and 30 slots; set the refused share beside "
        "Erlang B.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add_shared(parser, "--service-time", default=SERVICE_TIME_S)
    add("--arrivals", type=whole_number, default=ARRIVALS, metavar="N",
        help="counted requests per point; nine points (default: 2000)")  # fmt: skip
    add("--at-once", type=whole_number, metavar="N",
        help="points side by side (default: as many as offer 200 requests/s together: all, at 1 s)")  # fmt: skip
    add("--seed", type=whole_number, default=1, metavar="N", help="of the arrivals' random moments (default: 1)")
    add_shared(parser, "--out")
    return parser


def plan(options: Namespace, root: Path) -> tuple[BlockingSettings, Callable[[Path, Console], None]]:
    """Settings and what offers every load. Raises UsageError for too high a rate."""
    points = plan_points(options.service_time, options.arrivals, options.seed)
    at_once = options.at_once or easy_at_once(points)
    chosen = vars(options) | {"at_once": at_once}
    settings = BlockingSettings(
        experiment=BLOCKING,
        command=repeating_command(BLOCKING, {name: chosen[name] for name in REPEATED}),
        service_time_s=options.service_time,
        arrivals=options.arrivals,
        seed=options.seed,
        at_once=at_once,
        **describe_start(root),
    )
    return settings, partial(run_points, settings, points, Programs(root))


def plan_points(service_s: float, arrivals: int, seed: int) -> list[Point]:
    """Three loads for each number of slots, each with a seed of its own. Raises UsageError for too high a rate."""
    loads = {(slots, blocking): erlangs_at_blocking(slots, blocking) for slots in SLOTS for blocking in BLOCKING_AIMED}
    if service_s < (least_s := math.ceil(1000 * max(loads.values()) / MOST_RATE_PER_S) / 1000):
        raise UsageError(
            f"argument --service-time: {service_s:g} makes more than the {MOST_RATE_PER_S:g} arrivals per second that "
            f"router and generator carry side by side: give {least_s:g} or more"
        )
    return [
        Point(
            slots=slots,
            capacities={f"predict{number}": CAPACITY for number in range(1, slots // CAPACITY + 1)},
            aimed_blocking=blocking,
            rate_per_s=erlangs / service_s,
            warm_up_arrivals=warm_up_arrivals(erlangs),
            arrivals=arrivals,
            seed=seed + number,
        )
        for number, ((slots, blocking), erlangs) in enumerate(loads.items())
    ]


def easy_at_once(points: Sequence[Point]) -> int:
    """How many points can go side by side, 1 at least, without offering more than EASY_RATE_PER_S together."""
    totals = accumulate(sorted((point.rate_per_s for point in points), reverse=True))
    return max(1, sum(total <= EASY_RATE_PER_S for total in totals))


EXPERIMENT: Experiment[BlockingSettings, Sequence[PointRecords], BlockingSummary] = Experiment(
    BLOCKING, make_parser, plan, BlockingSettings, read_points, report, unit="point"
)
