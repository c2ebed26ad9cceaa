"""The command line of `python -m experiments blocking`, and what the experiment consists of."""

import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path

from rich.console import Console

from cli import Parser, UsageError, whole_number
from experiments.blocking import report
from experiments.blocking.records import BLOCKING, BlockingSettings, Point, PointRecords, read_points
from experiments.blocking.run import ACTIVES, CAPACITY, run_points
from experiments.blocking.summary import BlockingSummary
from experiments.experiment import Experiment
from experiments.options import (
    DEFAULT_ENGINE,
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
from experiments.testbed.chosen_routers import ChosenDeployment, Routers, choose_routers
from experiments.testbed.programs import Programs
from experiments.testbed.servers.chosen import ChosenServer, choose_server
from experiments.testbed.topologies import Topology, find_topologies, find_topology
from experiments.theory.erlang import erlangs_at_blocking
from experiments.theory.intervals import warm_up_arrivals
from experiments.theory.loss_model import time_text

PREDICTORS = (1, 2, 3)
"""Numbers of predictors, of so many slots each as their capacity is."""

BLOCKING_AIMED = (0.01, 0.05, 0.20)
SERVICE_TIME_S = 1.0

CURVE_AIMED = (0.01, 0.05, 0.20, 0.35, 0.51)
"""Of the largest topology: from its first failures to twice its slots."""

CURVE_SERVICE_TIME_S = 0.5
"""So that all of it takes about five minutes."""

ARRIVALS = 2_000
MOST_RATE_PER_S = 400.0
"""What router, predictors and generator carry on two cores without getting in each other's way."""

EASY_RATE_PER_S = 200.0
"""Points go side by side as long as all together offer no more than this."""

REPEATED = ("topologies", "router", "server", "service_time", "arrivals", "seed", "at_once")
"""The options in the command that repeats a run, where they have a value."""


EXAMPLES = """\
examples:
  python -m experiments blocking
  python -m experiments blocking --service-time 0.1 --arrivals 5000 --seed 7
  python -m experiments blocking --topologies 2active,3active
"""


def make_parser() -> Parser:
    """The command line's parser."""
    parser = Parser(
        prog="python -m experiments blocking",
        description="Offer Poisson arrivals at fixed rates to 10, 20 and 30 slots; set the refused share beside "
        "Erlang B (about 8 minutes). With --topologies offer the same arrivals to each of these, up to twice the "
        "slots of the largest; tell which serves more, and how sure that is (about 5 minutes).",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add_shared(parser, "--topologies",
               help="two or more, with commas between: the same arrivals for each, at five rates")  # fmt: skip
    add_margins(parser, "slots")
    add_shared(parser, "--server")
    add_shared(parser, "--service-time", help=f"seconds a prediction takes (default: {SERVICE_TIME_S:g}; "
               f"with --topologies {CURVE_SERVICE_TIME_S:g}, or more where there are many)")  # fmt: skip
    add("--arrivals", type=whole_number, default=ARRIVALS, metavar="N",
        help="counted requests per point; nine points, or five for each topology (default: 2000)")  # fmt: skip
    add("--at-once", type=whole_number, metavar="N",
        help="points side by side (default: as many as offer 200 requests/s together: all, at 1 s; of --topologies "
        "always all of a rate; with --server 1)")  # fmt: skip
    add("--seed", type=whole_number, default=1, metavar="N", help="of the arrivals' random moments (default: 1)")
    add_router(parser)
    add_shared(parser, "--out")
    return parser


def plan(options: Namespace, root: Path, console: Console) -> tuple[BlockingSettings, Callable[[Path, Console], None]]:
    """Settings and what offers every load. Raises CommandError: too high a rate, nothing to compare, a bad server."""
    topologies = _named_topologies(options, Programs(root))
    routers = choose_routers(options.router, topologies, root)
    _require_comparable(options, topologies, routers)
    routers.require_installed()
    loaded = topologies or [find_topology(ACTIVES, Programs(root).topologies)]
    server = choose_server(
        options,
        loaded,
        root,
        console,
        service_time_s=default_service_time_s(topologies, len(routers.chosen)),
        capacity=CAPACITY,
    )
    routers.require_renders(loaded, server.server)
    deployments = routers.deployments(topologies, server.server)
    plans = [_plan_of(each, server.capacity) for each in deployments]
    points = _plan(plans, server, options)
    margins = chosen_margins(options, Margins())
    at_once = _at_once(options.at_once, points, len(plans) or 1, server)
    chosen = vars(options) | {"service_time": server.service_time_s if server.is_own else None, "at_once": at_once}
    chosen |= server.to_repeat(options)
    chosen["topologies"] = ",".join(options.topologies) if plans else None
    chosen["router"] = routers.to_repeat if options.router else None
    repeated = {name: chosen[name] for name in REPEATED if chosen[name] is not None} | margin_options(margins)
    settings = BlockingSettings(
        experiment=BLOCKING,
        command=repeating_command(BLOCKING, repeated),
        service_time_s=server.service_time_s,
        arrivals=options.arrivals,
        seed=options.seed,
        at_once=at_once,
        margins=margins,
        topologies=plans,
        server=server.record,
        engine="" if routers.engine == DEFAULT_ENGINE else routers.engine,
        routers=routers.records(),
        **describe_start(root),
    )
    of_slots = routers.chosen[0]
    points = [replace(each, router=of_slots.name) if routers.foreign and not plans else each for each in points]
    by_name = {each.name: each for each in deployments}
    return settings, partial(run_points, settings, points, by_name, of_slots, Programs(root, server.server))


def default_service_time_s(topologies: Sequence[Topology], routers: int) -> float:
    """What a prediction takes unless it is given: longer where all deployments together would get too many arrivals."""
    if not topologies:
        return SERVICE_TIME_S
    most_slots = max(sum(each.capacities(CAPACITY).values()) for each in topologies)
    erlangs = len(topologies) * routers * max(erlangs_at_blocking(most_slots, each) for each in CURVE_AIMED)
    return max(CURVE_SERVICE_TIME_S, math.ceil(10 * erlangs / MOST_RATE_PER_S) / 10)


def _plan_of(chosen: ChosenDeployment, capacity: int) -> TopologyPlan:
    topology = chosen.topology
    return TopologyPlan(chosen.name, topology.capacities(capacity), topology.roles(), cold=[], **chosen.identity)


def _plan(plans: Sequence[TopologyPlan], server: ChosenServer, options: Namespace) -> list[Point]:
    """The points of topologies, or of numbers of slots where none is named. Raises UsageError for too high a rate."""
    held_s, arrivals, seed = server.holding_time_s, options.arrivals, options.seed
    if plans:
        return plan_curve(plans, held_s, arrivals, seed, server.name)
    return plan_points(held_s, arrivals, seed, server.capacity, server.name)


def _require_comparable(options: Namespace, topologies: Sequence[Topology], routers: Routers) -> None:
    """Raises UsageError where there are several routers without topologies, or one deployment alone."""
    if options.topologies is None and len(routers.chosen) > 1:
        raise UsageError("argument --router: several are compared by topologies: give --topologies too")
    if len(topologies) * len(routers.chosen) == 1:
        raise UsageError(f"argument --topologies: {topologies[0].name!r} alone: give two or more to compare")


def _named_topologies(options: Namespace, programs: Programs) -> list[Topology]:
    """Those that are asked for, or none. Raises UsageError."""
    if options.topologies is None:
        if options.slots is not None:
            raise UsageError("argument --margin-slots: there are no topologies to compare: give --topologies too")
        return []
    topologies = find_topologies(
        options.topologies, programs.topologies, twice="name each once", elsewhere=bool(options.server)
    )
    if cold := next((each for each in topologies if each.cold()), None):
        raise UsageError(
            f"argument --topologies: {cold.name!r} has a cold standby, which nobody starts here: "
            "name topologies without one"
        )
    return topologies


def plan_points(held_s: float, arrivals: int, seed: int, capacity: int = CAPACITY, server: str = "") -> list[Point]:
    """Three loads for each number of predictors of this capacity, each with a seed of its own.

    `held_s`: how long a request holds a slot; `server`: the name of a user's own. Raises UsageError: too high a rate.
    """
    loads = {
        (capacity * number, blocking): erlangs_at_blocking(capacity * number, blocking)
        for number in PREDICTORS
        for blocking in BLOCKING_AIMED
    }
    _require_bearable(max(loads.values()), held_s, server)
    return [
        Point(
            slots=slots,
            capacities={f"predict{number}": capacity for number in range(1, slots // capacity + 1)},
            aimed_blocking=blocking,
            rate_per_s=erlangs / held_s,
            warm_up_arrivals=warm_up_arrivals(erlangs),
            arrivals=arrivals,
            seed=seed + number,
        )
        for number, ((slots, blocking), erlangs) in enumerate(loads.items())
    ]


def plan_curve(
    topologies: Sequence[TopologyPlan], held_s: float, arrivals: int, seed: int, server: str = ""
) -> list[Point]:
    """Five loads, each the same for every topology, moments included; arguments and errors as of plan_points."""
    most_slots = max(plan.slots for plan in topologies)
    loads = [erlangs_at_blocking(most_slots, blocking) for blocking in CURVE_AIMED]
    _require_bearable((1 if server else len(topologies)) * max(loads), held_s, server)
    return [
        Point(
            slots=plan.slots,
            capacities=plan.capacities,
            aimed_blocking=blocking,
            rate_per_s=erlangs / held_s,
            warm_up_arrivals=warm_up_arrivals(erlangs),
            arrivals=arrivals,
            seed=seed + number,
            topology=plan.name,
            router=plan.router,
        )
        for number, (blocking, erlangs) in enumerate(zip(CURVE_AIMED, loads, strict=True))
        for plan in topologies
    ]


def _require_bearable(erlangs: float, held_s: float, server: str) -> None:
    """Raises UsageError where so much load at once is a higher rate than this machine carries."""
    if held_s >= (least_s := math.ceil(1000 * erlangs / MOST_RATE_PER_S) / 1000):
        return
    carried = f"the {MOST_RATE_PER_S:g} arrivals per second that router and generator carry side by side"
    if server:
        raise UsageError(
            f"{server}: a prediction takes {time_text(held_s)}, so that its slots are held by more than {carried}: "
            "give it a lower capacity"
        )
    raise UsageError(f"argument --service-time: {held_s:g} makes more than {carried}: give {least_s:g} or more")


def _at_once(asked: int | None, points: Sequence[Point], together: int, server: ChosenServer) -> int:
    """How many points go side by side; `together` of them always do, but users' servers. Raises UsageError."""
    if not server.is_own:
        return server.at_once(asked, 1)
    if asked is not None and asked < together:
        raise UsageError(
            f"argument --at-once: {asked} is too few: all {together} topologies get a load at the same time: "
            f"give {together} or more"
        )
    return asked or easy_at_once(points, together)


def easy_at_once(points: Sequence[Point], together: int = 1) -> int:
    """How many points can go side by side without offering more than EASY_RATE_PER_S together.

    `together` at least, of the same rate, which begin at the same moment.
    """
    totals = accumulate(sorted((point.rate_per_s for point in points), reverse=True))
    easy = sum(total <= EASY_RATE_PER_S for total in totals)
    return max(1, easy // together) * together


EXPERIMENT: Experiment[BlockingSettings, Sequence[PointRecords], BlockingSummary] = Experiment(
    BLOCKING, make_parser, plan, BlockingSettings, read_points, report, unit="point", margins=("slots",)
)
