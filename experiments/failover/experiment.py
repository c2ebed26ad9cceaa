"""The command line of `python -m experiments failover`, and what the experiment consists of."""

import argparse
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from cli import Parser, UsageError, duration, number_reader, whole_number
from experiments.experiment import Experiment, read_finished
from experiments.failover import report
from experiments.failover.claims import CLAIMS
from experiments.failover.faults import FAULTS
from experiments.failover.faults.stall import Stall
from experiments.failover.rate import MOST_PER_S, choose_rate, n_plus_1_rate
from experiments.failover.records import (
    CALM,
    FAILOVER,
    N_PLUS_1,
    DomainPlan,
    FailoverSettings,
    FaultRun,
    OfferedLoad,
    read_fault_runs,
)
from experiments.failover.run import CAPACITY_RUN_S, CAPACITY_USERS, run_all
from experiments.failover.summary import FailoverSummary
from experiments.failover.until_decided import run_until_decided
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
from experiments.testbed.chosen_routers import ChosenDeployment, Routers, choose_routers
from experiments.testbed.namespaces import why_impossible
from experiments.testbed.programs import Programs
from experiments.testbed.servers.chosen import ChosenServer, choose_server
from experiments.testbed.topologies import Topology, find_topologies
from experiments.theory.first_failure import predict_first_failure
from experiments.theory.loss_model import time_text


@dataclass(frozen=True)
class Size:
    """What a version of the experiment does by default."""

    faults: dict[str, tuple[str, ...]]
    """Load -> the faults that strike under it."""
    repeats: int
    window_s: float
    hold_down_s: float
    capacity_spawn_rate_per_s: float
    """0: production capacity is not measured."""


def _all_but(*names: str) -> tuple[str, ...]:
    return tuple(name for name in FAULTS if name not in names)


HARD = ("none", "crash", "double crash", "hang", "surge while down")
"""The faults under the greater load, in the quick version."""

RARE = ("region", "host", "stall", "truncated", "reset", "flapping", "black hole", "saturation")
"""The faults that only the full version has, or whoever asks for them."""

QUICK = Size({CALM: _all_but(*RARE), N_PLUS_1: HARD}, 1, 10.0, 2.0, 3.0)
FULL = Size(
    {CALM: _all_but(), N_PLUS_1: tuple(name for name in FAULTS if name in {*HARD, "slow", "error", "upgrade"})},
    repeats=5,
    window_s=12.0,
    hold_down_s=5.0,
    capacity_spawn_rate_per_s=1.0,
)
DECIDING = Size(
    {CALM: _all_but(*RARE, "upgrade", "big input", "router restart", "router crash")},
    repeats=1,
    window_s=10.0,
    hold_down_s=2.0,
    capacity_spawn_rate_per_s=0.0,
)
"""With `--until-decided`: what the claims are judged by, and no more."""

SERVICE_TIME_S = 0.4
ROUGHLY = 200
"""Simulated runs, to tell whether a swarm can reach a first failure."""

AT_ONCE = 3
"""Runs side by side: they wait more than they compute, so the figures are those of runs one after the other."""

MOST_TIME_S = 900.0
PACING_S = 20.0
LOADS = (CALM, N_PLUS_1)
FLAGS = ("full", "until_decided", "no_capacity", "no_resend")
"""The options without a value in the command that repeats a run."""

MARGINS_HERE = ("availability_points", "lost_requests", "relative_percent")

steady_seconds = number_reader(float, lambda value: 0 < value <= 600, "seconds, above 0 and at most 600")
offered_rate_per_s = number_reader(
    float, lambda value: 0 < value <= 300, "requests per second, above 0 and at most 300"
)
"""At most what one Locust process sends on time."""

EXAMPLES = """\
examples:
  python -m experiments failover
  python -m experiments failover --topologies 2active,2cold --load-time 9
  python -m experiments failover --topologies 2region --faults region,upgrade
  python -m experiments failover --full --seed 7
  python -m experiments failover --until-decided --most-time 15m
"""


def plan(
    options: argparse.Namespace, root: Path, console: Console
) -> tuple[FailoverSettings, Callable[[Path, Console], None]]:
    """The settings, and what does every run. Raises CommandError."""
    names, elsewhere = options.topologies or DEFAULT_TOPOLOGIES, bool(options.server)
    topologies = find_topologies(names, Programs(root).topologies, elsewhere=elsewhere)
    _check(options, topologies)
    routers = choose_routers(options.router, topologies, root)
    _require_own(options, routers)
    routers.require_installed()
    server = choose_server(
        options, topologies, root, console, service_time_s=SERVICE_TIME_S, capacity=options.threshold
    )
    programs, deployments = Programs(root, server.server), routers.deployments(topologies, server.server)
    settings, left_out = _settings(options, server, deployments, routers, root)

    def run(folder: Path, console: Console) -> None:
        for each in left_out:
            console.print(each, soft_wrap=True)
        if settings.until_decided:
            run_until_decided(settings, deployments, programs, _verdicts, folder, console)
        else:
            run_all(settings, deployments, programs, folder, console)

    return settings, run


def _verdicts(folder: Path) -> dict[str, str]:
    """The verdicts on the claims by the records so far. Raises UsageError."""
    summary = report.summarize(*read_finished(EXPERIMENT, folder))
    return {f"{each.claim} ({each.load})": each.verdict for each in summary.verdicts}


def _check(options: argparse.Namespace, topologies: Sequence[Topology]) -> None:
    """Refuses what would be ignored, or could come to nothing. Raises UsageError."""
    names = {topology.name for topology in topologies}
    if options.service_time == 0:
        raise UsageError("argument --service-time: 0: the load is reckoned from it: give more than 0")
    if options.most_time is not None and not options.until_decided:
        raise UsageError("argument --most-time: it bounds --until-decided: give that too, or leave this out")
    if options.repeats is not None and options.until_decided:
        raise UsageError("argument --repeats: --until-decided finds their number itself: leave one of the two out")
    if options.until_decided and not (len(names) > 1 and any(claim.topology in names for claim in CLAIMS)):
        wanted = " and ".join(dict.fromkeys(claim.topology for claim in CLAIMS))
        raise UsageError(f"argument --until-decided: the claims are about {wanted}: give these and another topology")
    loads, _ = _names(options.loads, "--loads", LOADS), _names(options.faults, "--faults", FAULTS)
    if options.rate and loads and CALM not in loads:
        raise UsageError(f"argument --rate: it sets the rate of {CALM}, which --loads leaves out")


def _require_own(options: argparse.Namespace, routers: Routers) -> None:
    """Refuses options that are of this project's router alone. Raises UsageError."""
    if options.until_decided and not routers.engine:
        raise UsageError("argument --until-decided: the claims are about this project's router alone: give flask")
    if options.hold_down is not None and len(routers.foreign) == len(routers.chosen):
        raise UsageError(
            f"argument --hold-down: {routers.foreign[0]} has none, this project's router has: leave it out"
        )


def _plan_of(chosen: ChosenDeployment, capacity: int) -> DomainPlan:
    t = chosen.topology
    return DomainPlan(
        chosen.name, t.capacities(capacity), t.roles(), t.regions(), t.hosts(), cold=t.cold(), **chosen.identity
    )


def _settings(
    options: argparse.Namespace, server: ChosenServer, deployments: Sequence[ChosenDeployment],
    routers: Routers, root: Path,
) -> tuple[FailoverSettings, list[str]]:  # fmt: skip
    """The settings; and what is left out and why, in sentences without full stop."""
    size = FULL if options.full else DECIDING if options.until_decided else QUICK
    plans = [_plan_of(each, server.capacity) for each in deployments]
    repeats = options.repeats or (1 if options.until_decided else size.repeats)
    at_once = min(server.at_once(options.at_once, AT_ONCE), len(deployments) * repeats)
    loads, left_out = _loads(options, server, plans, size, at_once)
    settings = FailoverSettings(
        experiment=FAILOVER,
        command="",
        topologies=plans,
        faults=[name for name in FAULTS if any(name in load.faults for load in loads)],
        repeats=repeats,
        seed=int(time.time()) % 1_000_000 if options.seed is None else options.seed,
        rate_per_s=loads[0].rate_per_s,
        rate_reason=loads[0].reason,
        pacing_s=PACING_S,
        service_time_s=server.service_time_s,
        threshold=server.capacity,
        hold_down_s=size.hold_down_s if options.hold_down is None else options.hold_down,
        repair_after_s=options.repair_after,
        window_s=options.window or size.window_s,
        capacity_service_time_s=1.0 if server.is_own else server.service_time_s,
        capacity_spawn_rate_per_s=0.0 if options.no_capacity else size.capacity_spawn_rate_per_s,
        capacity_wait_s=list(POST_WAIT_S),
        at_once=at_once,
        engine=routers.engine,
        routers=routers.records(),
        supervised=True,
        loads=loads,
        resend=not options.no_resend,
        load_time_s=options.load_time,
        until_decided=options.until_decided,
        most_time_s=(options.most_time or MOST_TIME_S) if options.until_decided else None,
        margins=chosen_margins(options, Margins()),
        server=server.record,
        left_out={
            name: why for name in _asked_for(options, server, size) if (why := _why_left_out(name, server, plans))
        },
        **describe_start(root),
    )
    settings, without_capacity = _reachable_capacity(
        replace(settings, command=_command(settings, server, routers, options))
    )
    faults = [f"{fault} is left out: {why}" for fault, why in settings.left_out.items()]
    return settings, [each for each in (left_out, without_capacity, *faults) if each]


def _reachable_capacity(settings: FailoverSettings) -> tuple[FailoverSettings, str]:
    """Leaves capacity out where a swarm would not fill a user's server, as fast as it is; and why, empty if not."""
    spawn_rate_per_s, held_s = settings.capacity_spawn_rate_per_s, settings.holding_time_s
    if settings.server is None or not spawn_rate_per_s:
        return settings, ""
    slots = min(plan.warm_slots for plan in settings.topologies)
    expected = predict_first_failure(
        slots, held_s, spawn_rate_per_s, POST_WAIT_S, max_users=CAPACITY_USERS, run_time_s=CAPACITY_RUN_S,
        replications=ROUGHLY,
    )  # fmt: skip
    if expected.share_reached > 0.5:
        return settings, ""
    why = f"{CAPACITY_USERS} users hardly ever fill {slots} slots that each hold a request for {time_text(held_s)}"
    return replace(settings, capacity_spawn_rate_per_s=0.0), f"production capacity is left out: {why}"


def _loads(
    options: argparse.Namespace, server: ChosenServer, plans: Sequence[DomainPlan], size: Size, at_once: int
) -> tuple[list[OfferedLoad], str]:
    """The loads, and which one is left out and why; empty for none. Raises UsageError where none is left."""
    wanted = _names(options.loads, "--loads", LOADS) or list(size.faults)
    faults = {name: _faults(options, server, plans, size, name) for name in wanted}
    most_per_s = math.inf if server.is_own else MOST_PER_S / at_once
    calm_per_s, calm_reason = choose_rate(plans, server.holding_time_s, server.why_held, most_per_s)
    calm = OfferedLoad(CALM, options.rate or calm_per_s, "as asked for" if options.rate else calm_reason, [])
    loads = [replace(calm, faults=faults[CALM])] if CALM in wanted else []
    if N_PLUS_1 not in wanted:
        return loads, ""
    greater = n_plus_1_rate(plans, server.holding_time_s, at_once, server.why_held)
    if greater is not None and (greater[0] > calm.rate_per_s or not loads):
        return [*loads, OfferedLoad(N_PLUS_1, *greater, faults[N_PLUS_1])], ""
    why = f"{greater[0]:g} requests/s are no more than calm" if greater else "no topology has a second predictor"
    if not loads:
        raise UsageError(f"argument --loads: {N_PLUS_1}: {why}")
    return loads, f"load {N_PLUS_1} is left out: {why}"


def _faults(
    options: argparse.Namespace, server: ChosenServer, plans: Sequence[DomainPlan], size: Size, load: str
) -> list[str]:
    """The faults that strike under that load. Raises UsageError where all that were asked for are left out."""
    asked = _names(options.faults, "--faults", FAULTS) or _default_faults(server, size, load)
    faults = [name for name in asked if not _why_left_out(name, server, plans)]
    if not faults:
        raise UsageError(f"argument --faults: {asked[0]}: {_why_left_out(asked[0], server, plans)}: give another")
    return faults


def _default_faults(server: ChosenServer, size: Size, load: str) -> list[str]:
    chosen = size.faults.get(load, size.faults[CALM])
    more = (Stall.name,) if size is QUICK and load == CALM and not server.is_own else ()
    return [name for name in FAULTS if name in {*chosen, *more}]


def _asked_for(options: argparse.Namespace, server: ChosenServer, size: Size) -> list[str]:
    """The faults of all loads, those that are left out too."""
    loads = _names(options.loads, "--loads", LOADS) or list(size.faults)
    asked = _names(options.faults, "--faults", FAULTS)
    return asked or list(dict.fromkeys(name for load in loads for name in _default_faults(server, size, load)))


def _why_left_out(fault: str, server: ChosenServer, plans: Sequence[DomainPlan]) -> str:
    """Which hook it lacks, or why there are no hosts to lose; empty where it can be injected."""
    hooks = server.server.hooks
    if FAULTS[fault].on_hosts and any(plan.hosts for plan in plans):
        if hooks:
            return "hooks reach the predictors on hosts that nothing here can cut off"
        if why := why_impossible():
            return f"no network namespaces: {why}"
    return next(
        (f"the server file has no hook `{each}`" for each in FAULTS[fault].needs if hooks and each not in hooks), ""
    )


def _command(settings: FailoverSettings, server: ChosenServer, routers: Routers, options: argparse.Namespace) -> str:
    hold_down = ["hold_down_s"] if len(routers.foreign) < len(routers.chosen) else []
    names = [*hold_down, "repair_after_s", "window_s", "at_once"]
    lists = {tuple(load.faults) for load in settings.loads}
    values = {
        "topologies": ",".join(options.topologies or DEFAULT_TOPOLOGIES),
        "loads": ",".join(load.name for load in settings.loads),
        **({"faults": ",".join(lists.pop())} if len(lists) == 1 else {}),
        **({"most_time": settings.most_time_s} if settings.until_decided else {"repeats": settings.repeats}),
        "seed": settings.seed,
        **({} if settings.server else {"service_time": settings.service_time_s}),
        **server.to_repeat(options),
        **{name.removesuffix("_s"): getattr(settings, name) for name in names},
        **({"rate": options.rate} if options.rate else {}),
        **({"load_time": options.load_time} if options.load_time else {}),
        "router": routers.to_repeat,
        **margin_options(settings.margins),
    }
    flags = [f"--{name.replace('_', '-')}" for name in FLAGS if getattr(options, name)]
    return repeating_command(FAILOVER, values, *flags)


def _names(texts: Sequence[str] | None, option: str, known: Collection[str]) -> list[str]:
    """The names of a command line in the order given, each once, commas between. Raises UsageError."""
    names = [name.strip() for text in texts or () for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            what = option.strip("-").removesuffix("s")
            raise UsageError(f"argument {option}: unknown {what} {name!r}: give {', '.join(known)}")
    return list(dict.fromkeys(names))


def make_parser() -> Parser:
    """The command line's parser."""
    parser = Parser(
        prog="python -m experiments failover",
        description="Break each topology under steady loads, one fault after the other; print and write what it cost.",
        epilog="faults:\n" + "".join(f"  {name:18}{fault.what}\n" for name, fault in FAULTS.items()) + "\n" + EXAMPLES,
    )
    add = parser.add_argument
    add("--full", action="store_true",
        help="every fault, 5 repeats, longer windows, capacity at the post's pace")  # fmt: skip
    add("--until-decided", action="store_true",
        help="repeat until every claim has a verdict; no capacity, and the calm load alone unless given")  # fmt: skip
    add("--most-time", type=duration, metavar="TIME",
        help="with it: begin no repeat that would end later, as 15m, 90s, 1h (default: 15m)")  # fmt: skip
    add_shared(parser, "--topologies", help=f"topologies of the table{SEVERAL}")
    add("--loads", nargs="+", action="extend", metavar="NAME",
        help="loads: calm, which each carries twice with one predictor down; n+1, the most that the largest carries "
        "then (default: calm,n+1)")  # fmt: skip
    add("--faults", nargs="+", action="extend", metavar="NAME",
        help="faults under each load, with commas between (default: all; under n+1 the hardest)")  # fmt: skip
    add("--repeats", type=whole_number, metavar="N", help="runs of each topology (default: 1; with --full 5)")
    add("--seed", type=whole_number, metavar="N", help="seed of the faults' moments and targets (default: a new one)")
    _add_rig_options(parser)
    add_margins(parser, *MARGINS_HERE)
    add_shared(parser, "--out")
    return parser


def _add_rig_options(parser: Parser) -> None:
    """The options of what is broken, and how."""
    add = parser.add_argument
    add("--rate", type=offered_rate_per_s, metavar="PER_S",
        help="calm's requests per second (default: half of what the weakest survives with one down)")  # fmt: skip
    add_shared(parser, "--server")
    add_shared(parser, "--service-time", help=f"seconds a prediction takes (default: {SERVICE_TIME_S:g})")
    add_shared(parser, "--load-time")
    add_shared(parser, "--threshold")
    add("--repair-after", type=steady_seconds, default=3.0, metavar="S",
        help="the operator's delay, from a fault to its repair (default: 3)")  # fmt: skip
    add("--window", type=steady_seconds, metavar="S", help="least length of a fault's window (default: 10; full: 12)")
    add("--hold-down", type=steady_seconds, metavar="S", help="the router's hold-down (default: 2; with --full 5)")
    add("--no-resend", action="store_true", help="have the router send no request again that may have run")
    add("--no-capacity", action="store_true", help="leave the measurement of production capacity out")
    add("--at-once", type=whole_number, metavar="N",
        help="runs side by side (default: 3, with --server 1; fewer where the machine lags)")  # fmt: skip
    add_router(parser)


EXPERIMENT: Experiment[FailoverSettings, Sequence[FaultRun], FailoverSummary] = Experiment(
    FAILOVER, make_parser, plan, FailoverSettings, read_fault_runs, report, margins=MARGINS_HERE
)
