"""What a failover run says about the answer's inputs, from its records alone. With one predictor out: one_down.py."""

import shlex
from collections.abc import Iterator, Sequence
from math import inf
from statistics import fmean, median

import numpy as np

from cli import UsageError
from experiments.answer.inputs import Z_95, Input
from experiments.answer.measured import Measured, OneDown
from experiments.answer.of_server import saturation, service_time
from experiments.failover.faults import FAULTS
from experiments.failover.one_down import MeasuredWindow, check_one_down, deployment_of, edge_losses, pooled
from experiments.failover.predicted import starts_s
from experiments.failover.records import CALM, FailoverSettings, FaultRun, OfferedLoad
from experiments.failover.slots import is_overloaded
from experiments.failover.window_metrics import measure_window
from experiments.failover.windows import WindowRecords, windows_of
from experiments.theory.intervals import poisson
from experiments.theory.sizing import Demand

ROUTER_FAULTS = ("router crash", "router restart")
"""What the router's own loss is taken from: the first that was measured."""

GIVES_ONE = "python -m experiments failover --faults none,crash --no-capacity"
"""A command whose run has a fault that takes one predictor away."""

SERVER = "--server"

Windows = Sequence[MeasuredWindow]


def measure_inputs(settings: FailoverSettings, runs: Sequence[FaultRun], name: str) -> Measured:
    """Returns what the run says; `name` is its folder, as the user writes it.

    Raises:
        UsageError: other routers than this project's stood there, or several; or no fault took one predictor away
            until its repair; or predictions take no time; or the server queues, and its saturation is not known.
    """
    if not settings.has_own_router_alone:
        raise UsageError(f"{name}: the answer is of one router, this project's: give a run with --router flask")
    windows = [MeasuredWindow(each, measure_window(each)) for run in runs for each in windows_of(run, settings)]
    if not any(each.takes_one_away and each.figures.counts_losses for each in windows):
        raise UsageError(f"{name}: no fault takes one predictor away until its repair; {GIVES_ONE} measures one")
    load = load_of(settings)
    inputs = dict(_inputs(settings, load, windows, name))
    of_plan = {plan.name: [each for each in windows if each.records.plan == plan] for plan in settings.topologies}
    edges = (
        (deployment.name, edge_losses(_under(load, of_plan[plan.name]), _demand(inputs)))
        for plan in settings.topologies
        if (deployment := deployment_of(plan))
    )
    checks = () if settings.why_no_theory else tuple(_checks(settings, of_plan, inputs["service_time"].value))
    return Measured(name, inputs, pooled(edges), checks, settings.why_no_theory, _server(settings))


def _server(settings: FailoverSettings) -> str | None:
    words = shlex.split(settings.command)
    if SERVER in words:
        return words[words.index(SERVER) + 1]
    return None if settings.server else ""


def load_of(settings: FailoverSettings) -> OfferedLoad:
    """The load that the inputs are of: the calm one, else the first."""
    loads = settings.offered_loads
    return next((load for load in loads if load.name == CALM), loads[0])


def _under(load: OfferedLoad, windows: Windows) -> list[MeasuredWindow]:
    return [each for each in windows if each.figures.load == load.name]


def _demand(inputs: dict[str, Input]) -> Demand:
    saturation_per_s = inputs["saturation"].value if "saturation" in inputs else inf
    slots = round(inputs["threshold"].value)
    return Demand(inputs["rate"].value, inputs["service_time"].value, slots, saturation_per_s)


def _checks(
    settings: FailoverSettings, of_plan: dict[str, list[MeasuredWindow]], service_time_s: float
) -> Iterator[OneDown]:
    for load in settings.offered_loads:
        for plan in settings.topologies:
            valid = [each for each in of_plan[plan.name] if each.figures.valid]
            answers_s = _undisturbed_s(_under(load, valid))
            answer_s = _held_s(settings, answers_s) if answers_s else service_time_s
            found = check_one_down(settings, plan, load, valid, answer_s)
            if found is not None:
                yield found


def _inputs(settings: FailoverSettings, load: OfferedLoad, windows: Windows, name: str) -> Iterator[tuple[str, Input]]:
    """Name and value of each input that the run measured, or was asked for."""
    service_time = _service_time(settings, _under(load, windows), name)
    yield "rate", Input(load.rate_per_s, "requests/s", f"set in run {name}: its load {load.name}")
    yield "service_time", service_time
    capacities = {slots for plan in settings.topologies for slots in plan.capacities.values()}
    slots = capacities.pop() if len(capacities) == 1 else settings.threshold
    yield "threshold", Input(slots, "slots", f"set in run {name}: the capacity of its predictors")
    if settings.expected_load_s:
        yield "load_time", _load_time(settings, name)
    if started_s := list(_starts_s([each.records for each in windows if each.figures.valid])):
        yield "start_time", _start_time(started_s, settings.expected_load_s, name)
    if (router_loss := _router_loss(settings, windows, service_time.value, name)) is not None:
        yield "router_loss", router_loss
    if settings.why_no_theory:
        yield "saturation", _saturation(settings, name)


def _service_time(settings: FailoverSettings, windows: Windows, name: str) -> Input:
    """How long a request holds its slot: one of a server that queues waits too, and so was asked alone."""
    answers_s = [] if settings.why_no_theory else _undisturbed_s(windows)
    if answers_s:
        which = "mean" if settings.server else "median"
        source = f"measured in run {name}: the {which} of {len(answers_s)} answers without a fault"
        return Input(_in_four_digits(_held_s(settings, answers_s)), "s", source)
    if settings.server:
        return service_time(settings.server.preflight, f"measured in run {name}")
    if not settings.service_time_s:
        raise UsageError(f"{name}: its predictions take no time, so no load holds a slot; measure with --service-time")
    return Input(settings.service_time_s, "s", f"set in run {name}: it has no window without a fault to measure it in")


def _held_s(settings: FailoverSettings, answers_s: Sequence[float]) -> float:
    """How long these answers held a slot: the mean, which is what the formula needs.

    The rig's own predictors take one time each: the median is that, and what some take on top, on a busy machine, is
    mostly their client's.
    """
    return fmean(answers_s) if settings.server else median(answers_s)


def _undisturbed_s(windows: Windows) -> list[float]:
    """How long each good answer took in the valid windows without a fault."""
    controls = [each for each in windows if each.figures.valid and FAULTS[each.figures.fault].is_control]
    return [request.latency_s for each in controls for request in each.records.answered]


def _in_four_digits(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def _load_time(settings: FailoverSettings, name: str) -> Input:
    if settings.server:
        source = f"measured in run {name}: from the server's start to its first good prediction"
    else:
        source = f"set in run {name}: --load-time"
    return Input(settings.expected_load_s, "s", source)


def _starts_s(valid: Sequence[WindowRecords]) -> Iterator[float]:
    """How long starts took: of cold standbys from the order until the router has them serve, else of repairs."""
    cold_s = [time_s for each in valid for time_s in _cold_starts_s(each)]
    yield from cold_s or starts_s(valid)


def _cold_starts_s(records: WindowRecords) -> Iterator[float]:
    """Seconds from each order to start a cold standby in the window to the router's finding that it is well."""
    orders = [
        action
        for action in records.run.actions
        if (action.window, action.action) == (records.window.number, "started") and action.target in records.plan.cold
    ]
    for order in orders:
        served = (event.time for event in records.events if (event.event, event.predictor) == ("started", order.target))
        if (served_s := next((time_s for time_s in served if time_s > order.time_s), None)) is not None:
            yield served_s - order.time_s


def _start_time(started_s: Sequence[float], load_s: float, name: str) -> Input:
    """The median of the starts, less the loading, and the range of nine in ten where they differ."""
    low, high = (max(0.0, round(float(each) - load_s, 3)) for each in np.quantile(started_s, (0.05, 0.95)))
    value = max(0.0, round(median(started_s) - load_s, 3))
    less = ", less the loading" if load_s else ""
    several = f"the median of {len(started_s)} starts" if len(started_s) > 1 else "one start"
    source = f"measured in run {name}: {several}{less}"
    return Input(value, "s", source, low, high) if 0 < low < high else Input(value, "s", source)


def _router_loss(settings: FailoverSettings, windows: Windows, service_time_s: float, name: str) -> Input | None:
    """Requests lost per fault of the router and request in flight, over all topologies that are not overloaded."""
    carrying = [each for each in windows if each.figures.counts_losses and not _is_overloaded(settings, each.records)]
    by_fault = ((fault, [each for each in carrying if each.figures.fault == fault]) for fault in ROUTER_FAULTS)
    fault, struck = next(((name, own) for name, own in by_fault if own), ("", []))
    if not struck:
        return None
    lost = sum(each.figures.lost for each in struck)
    in_flight = sum(each.records.load.rate_per_s * service_time_s for each in struck)
    faults = f"{len(struck)} fault{'s' if len(struck) > 1 else ''} ({fault})"
    source = f"measured in run {name}: {lost} lost in {faults}, {in_flight:.3g} in flight"
    interval = poisson(lost, Z_95)
    value, low, high = (round(each / in_flight, 4) for each in (lost, interval.low, interval.high))
    return Input(value, "", source, low, high) if low > 0 else Input(value, "", source)


def _is_overloaded(settings: FailoverSettings, records: WindowRecords) -> bool:
    return is_overloaded(records.plan, settings.erlangs(records.load))


def _saturation(settings: FailoverSettings, name: str) -> Input:
    """What its predictor answered per second with all slots held. Raises UsageError where that was not measured."""
    server = settings.server
    figures = server.preflight if server and not server.differ else None
    known = figures and figures.good_at_once == figures.asked_at_once
    full = saturation(figures, f"measured in run {name}") if figures and known else None
    if full is None:
        raise UsageError(f"{name}: {settings.why_no_theory}; its saturation is not known: give figures without the run")
    return full
