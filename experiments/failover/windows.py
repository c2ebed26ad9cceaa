"""The figures of one fault's window, computed from the records alone, each with its definition in one sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import ROUTER
from experiments.failover.records import (
    INJECTED,
    OVERSIZE,
    RECOVERED,
    REPAIRED,
    SKIPPED,
    Action,
    DomainPlan,
    FailoverSettings,
    FaultRun,
    SteadyRequest,
)
from experiments.results.records import Event
from experiments.results.statistics import percentile

MOST_LATENESS_S = 0.1
"""A window in which more than 1 % of the requests were sent later than this is not reported."""

DEFINITIONS = {
    "capacity_in_region_per_s": "rate at first failure (requests sent in the 10 s before it) with everything up",
    "capacity_out_of_region_per_s": (
        "rate at first failure with the largest failure domain down: a region where entries name one, else one "
        "predictor; 0 where nothing is left"
    ),
    "availability": (
        "good answers divided by requests offered, over the whole of all unplanned faults' windows, by the moment of "
        "sending; of each repeat those faults of which every topology has a valid window"
    ),
    "planned_availability": "the same while every predictor is upgraded in turn (drain, stop, start, ready)",
    "surge_availability": "the same in the windows of surges alone",
    "lost_per_fault": "requests without a good answer per unplanned fault",
    "capacity_lost_share": (
        "slots of the predictors that a fault hits, divided by all slots of the topology; the largest of the "
        "unplanned faults of predictors"
    ),
    "worst_added_wait_s": (
        "the longest time from sending a request to its good answer, in the windows of unplanned faults, less the "
        "service time"
    ),
    "recovery_s": (
        "disaster recovery time: from the fault until as many slots as planned are in rotation again for good, the "
        "failed predictor being repaired after the operator's delay; the longest of the unplanned faults in which "
        "slots were missing"
    ),
    "redundancy_s": (
        "from the fault until every predictor is as planned again, actives serving and standbys standing by; the "
        "longest of the unplanned faults of predictors"
    ),
    "response_s": (
        "incident response time: from the fault to the router's first reaction (ejected or promoted, by its event "
        "log); the longest of the unplanned faults to which it reacted"
    ),
    "standby_answer_s": (
        "from the fault to the standby's first good answer; the longest of the unplanned faults of predictors in which "
        "it gave one"
    ),
    "window": (
        "from the fault for the window's length, or until every predictor is as planned again if that is later; an "
        "upgrade's ends when the last predictor is ready"
    ),
    "offered": "requests sent in the window, bodies over the limit not counted: to refuse those is right",
    "lost": "requests offered in the window that got no good answer",
    "offered_rate_per_s": "requests offered divided by the window's length",
    "throughput_per_s": "good answers divided by the window's length",
    "lateness_p99_s": (
        "the time by which 99 % of the requests due or sent in a window were sent at the latest after they were due: "
        "the generator's own; above 0.1 s, or where nothing was offered, the window is invalid, left out of every "
        "figure, and the fault repeated (twice at most)"
    ),
}
"""Figure -> what it is."""

REACTIONS = ("ejected", "promoted")
OUT_OF_ROTATION = ("ejected", "drained", "demoted")


@dataclass(frozen=True)
class Window:
    """One fault's window in a run."""

    number: int
    fault: str
    targets: list[str]
    injected_s: float
    repaired_s: float
    recovered_s: float
    end_s: float


@dataclass(frozen=True)
class WindowFigures:
    """The figures of one window; DEFINITIONS says what each is. Times count from the fault."""

    fault: str
    """The fault's name."""
    repeat: int
    """The run's number among those of its topology, from 1."""
    targets: list[str]
    """Whom it hit."""
    length_s: float
    """The window's length."""
    offered: int
    lost: int
    lost_by_reason: dict[str, int]
    """The router's reason or the transport error -> requests lost for it."""
    availability: float
    """Good answers divided by requests offered, of this window."""
    offered_rate_per_s: float
    throughput_per_s: float
    capacity_lost_share: float
    """Slots of the predictors that the fault hits, divided by all slots."""
    worst_added_wait_s: float | None
    """The longest time to a good answer, less the service time."""
    recovery_s: float | None
    """From the fault until as many slots as planned are in rotation again for good."""
    redundancy_s: float
    """From the fault until every predictor is as planned again."""
    response_s: float | None
    """From the fault to the router's first reaction."""
    standby_answer_s: float | None
    """From the fault to the standby's first good answer."""
    oversize_sent: int
    """Requests sent with a body over the limit."""
    oversize_refused: int
    """Requests among them that were answered 413, as is right."""
    lateness_p99_s: float

    @property
    def valid(self) -> bool:
        """Whether the generator kept to its plan."""
        return self.offered > 0 and self.lateness_p99_s <= MOST_LATENESS_S


def windows(actions: Iterable[Action], settings: FailoverSettings) -> list[Window]:
    """The faults' windows of a run, in order; skipped faults have none."""
    by_number: dict[int, dict[str, Action]] = {}
    for action in actions:
        by_number.setdefault(action.window, {}).setdefault(action.action, action)
    return [_window(steps, settings) for steps in by_number.values() if INJECTED in steps]


def skipped(actions: Iterable[Action]) -> dict[str, str]:
    """Fault -> why it was skipped."""
    return {action.fault: action.target for action in actions if action.action == SKIPPED}


def _window(steps: dict[str, Action], settings: FailoverSettings) -> Window:
    injected, repaired, recovered = steps[INJECTED], steps[REPAIRED].time_s, steps[RECOVERED].time_s
    end_s = max(injected.time_s + settings.window_s, recovered)
    if FAULTS[injected.fault].planned:
        end_s = repaired
    targets = injected.target.split("+") if injected.target else []
    return Window(injected.window, injected.fault, targets, injected.time_s, repaired, recovered, end_s)


def window_figures(window: Window, run: FaultRun, plan: DomainPlan, settings: FailoverSettings) -> WindowFigures:
    """Compute one window's figures."""
    inside = [each for each in run.requests if window.injected_s <= each.sent_at_s < window.end_s]
    offered = [each for each in inside if each.kind != OVERSIZE]
    oversize = [each for each in inside if each.kind == OVERSIZE]
    lost = [each for each in offered if not each.good]
    good = len(offered) - len(lost)
    length_s = window.end_s - window.injected_s
    waits_s = [each.latency_s - settings.service_time_s for each in offered if each.good]
    return WindowFigures(
        fault=window.fault,
        repeat=run.run.repeat,
        targets=window.targets,
        length_s=round(length_s, 3),
        offered=len(offered),
        lost=len(lost),
        lost_by_reason=dict(Counter(each.reason for each in lost).most_common()),
        availability=round(good / len(offered), 6) if offered else 0.0,
        offered_rate_per_s=round(len(offered) / length_s, 3),
        throughput_per_s=round(good / length_s, 3),
        capacity_lost_share=round(capacity_lost_share(window, plan), 4),
        worst_added_wait_s=round(max(0.0, *waits_s), 4) if waits_s else None,
        recovery_s=_rounded(recovery_s(window, run.events, plan)),
        redundancy_s=round(window.recovered_s - window.injected_s, 3),
        response_s=_rounded(response_s(window, run.events)),
        standby_answer_s=_rounded(standby_answer_s(window, run.requests, plan)),
        oversize_sent=len(oversize),
        oversize_refused=sum(each.status == 413 for each in oversize),
        lateness_p99_s=round(lateness_p99_s(window, run.requests), 4),
    )


def lateness_p99_s(window: Window, requests: Sequence[SteadyRequest]) -> float:
    """The time by which 99 % of the window's requests were sent at the latest after they were due.

    Those that were due in it and sent after its end count too: else a generator that stalls at the end looks punctual.
    """
    start_s, end_s = window.injected_s, window.end_s
    late_s = [
        each.lateness_s for each in requests if start_s <= each.sent_at_s < end_s or start_s <= each.due_at_s < end_s
    ]
    return percentile(late_s, 99) or 0.0


def generator_on_time(window: Window, requests: Sequence[SteadyRequest]) -> bool:
    """Whether the generator sent in this window what it should, when it should."""
    offered = any(each.kind != OVERSIZE and window.injected_s <= each.sent_at_s < window.end_s for each in requests)
    return offered and lateness_p99_s(window, requests) <= MOST_LATENESS_S


def capacity_lost_share(window: Window, plan: DomainPlan) -> float:
    """The share of all slots that stands on what the fault hits; the router is in front of all."""
    if ROUTER in window.targets and ROUTER not in plan.capacities:
        return 1.0
    if FAULTS[window.fault].planned:
        return max(plan.capacities.values()) / plan.slots
    return plan.slots_of(window.targets) / plan.slots


def recovery_s(window: Window, events: Sequence[Event], plan: DomainPlan) -> float | None:
    """Seconds from the fault until the planned slots are in rotation for good; None if none were ever missing."""
    if window.targets == [ROUTER] and ROUTER not in plan.capacities:
        return window.repaired_s - window.injected_s
    full_at_s, missing = None, False
    for time_s, slots in rotation(window, events, plan):
        if slots < plan.active_slots:
            missing = True
        elif missing:
            missing, full_at_s = False, time_s
    if missing:
        full_at_s = window.recovered_s
    return None if full_at_s is None else full_at_s - window.injected_s


def rotation(window: Window, events: Sequence[Event], plan: DomainPlan) -> list[tuple[float, int]]:
    """The slots in rotation after each of the window's events, from as planned, by the router's event log."""
    inside, down = set(plan.actives), set[str]()
    course = []
    for event in _events_of(window, events):
        name = event.predictor
        if event.event in ("ejected", "failed"):
            down.add(name)
        elif event.event in ("readmitted", "recovered"):
            down.discard(name)
        if event.event in OUT_OF_ROTATION:
            inside.discard(name)
        elif event.event in ("promoted", "readmitted") or (
            event.event == "ready" and name in plan.actives and name not in down
        ):
            inside.add(name)
        course.append((event.time, plan.slots_of([each for each in inside if each in plan.capacities])))
    return course


def response_s(window: Window, events: Sequence[Event]) -> float | None:
    """Seconds from the fault to the router's first reaction."""
    return next((e.time - window.injected_s for e in _events_of(window, events) if e.event in REACTIONS), None)


def standby_answer_s(window: Window, requests: Sequence[SteadyRequest], plan: DomainPlan) -> float | None:
    """Seconds from the fault to the first good answer of a standby."""
    answers_s = [each.sent_at_s + each.latency_s for each in requests if each.good and each.predictor in plan.standbys]
    return min((s - window.injected_s for s in answers_s if window.injected_s <= s < window.end_s), default=None)


def _events_of(window: Window, events: Sequence[Event]) -> list[Event]:
    return [event for event in events if window.injected_s <= event.time < max(window.end_s, window.recovered_s)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
