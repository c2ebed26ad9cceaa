"""The windows of a run's faults and what was recorded in them. What that comes to: window_metrics.py."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from experiments.failover.faults import FAULTS, fault_of
from experiments.failover.records import (
    OVERSIZE,
    Action,
    DomainPlan,
    FailoverSettings,
    FaultRun,
    OfferedLoad,
    SteadyRequest,
    Step,
)
from experiments.options import DEFAULT_ENGINE
from experiments.results.records import Event
from experiments.results.statistics import percentile
from experiments.theory.fault_scenario import Effect

MOST_LATENESS_S = 0.1
"""A window in which more than 1 % of the requests were sent later than this counts for no time and no delay."""

MOST_LATENESS_OF_LOSSES_S = 1.0
"""From here on it counts for no loss either: a fault's effect is of this size."""

WINDOW_DEFINITION = (
    "from the fault for the window's length, or until every predictor is as planned again if that is later; an "
    "upgrade's ends when the last predictor is ready"
)


@dataclass(frozen=True)
class FaultWindow:
    """The time in which what one fault costs is counted; moments in epoch seconds."""

    number: int
    """The fault's number in the run, from 1."""
    fault: str
    load: str
    """The load's name."""
    targets: list[str]
    injected_s: float
    repair_s: float
    """When its repair began."""
    repaired_s: float
    recovered_s: float
    """When an operator first saw all as planned again."""
    end_s: float
    effect: Effect | None = None
    """What the fault does, where theory can simulate it."""
    missed: str = ""
    """Why it is not proven that the fault struck, or that a request met it; empty where it is."""

    @property
    def length_s(self) -> float:
        """Its length."""
        return self.since_s(self.end_s)

    def since_s(self, time_s: float) -> float:
        """Seconds from the fault to the moment."""
        return time_s - self.injected_s

    def contains(self, time_s: float) -> bool:
        """Whether the moment lies in it; its end does not."""
        return self.injected_s <= time_s < self.end_s


@dataclass(frozen=True)
class WindowRecords:
    """A window with the run that it is of, and what was recorded in it."""

    window: FaultWindow
    run: FaultRun
    plan: DomainPlan
    load: OfferedLoad
    service_time_s: float
    erlangs: float | None
    """The steady load (FailoverSettings.erlangs)."""
    router_tells: bool = True
    """Whether the router has events, by which slots and reactions are known: of another than this project's, none."""

    @cached_property
    def sent(self) -> list[SteadyRequest]:
        """The requests sent in it, bodies over the limit not counted."""
        return [request for request in self._all_sent if request.kind != OVERSIZE]

    @cached_property
    def offered(self) -> list[SteadyRequest]:
        """Those in flight when the fault struck, and those sent in the window: the fault may cost either."""
        struck_s = self.window.injected_s
        in_flight = [
            request
            for request in self.run.requests
            if request.sent_at_s < struck_s < request.sent_at_s + request.latency_s and request.kind != OVERSIZE
        ]
        return in_flight + self.sent

    @cached_property
    def oversize(self) -> list[SteadyRequest]:
        """The requests sent in it with a body over the limit."""
        return [request for request in self._all_sent if request.kind == OVERSIZE]

    @cached_property
    def answered(self) -> list[SteadyRequest]:
        """The requests offered that got a good answer."""
        return [request for request in self.offered if request.good]

    @cached_property
    def lost(self) -> list[SteadyRequest]:
        """The requests offered that got none."""
        return [request for request in self.offered if not request.good]

    @cached_property
    def refused(self) -> list[SteadyRequest]:
        """Those among them that were refused."""
        return [request for request in self.lost if request.refused]

    @cached_property
    def standby_answers(self) -> list[tuple[float, str]]:
        """Moment and predictor of each good answer that a standby gave in it, in order of time."""
        standbys = self.plan.standbys
        answers = [
            (request.sent_at_s + request.latency_s, request.predictor)
            for request in self.run.requests
            if request.predictor in standbys and request.good
        ]
        return sorted(answer for answer in answers if self.window.contains(answer[0]))

    @property
    def settled_s(self) -> float:
        """When the window is over and all is as planned, in epoch seconds."""
        return max(self.window.end_s, self.window.recovered_s)

    @cached_property
    def events(self) -> list[Event]:
        """What happened to predictors from the fault until all had settled, by the router's events."""
        own = (event for event in self.run.events if event.predictor)  # a refusal is about none
        return [event for event in own if self.window.injected_s <= event.time < self.settled_s]

    @cached_property
    def _all_sent(self) -> list[SteadyRequest]:
        return [request for request in self.run.requests if self.window.contains(request.sent_at_s)]


def find_windows(
    actions: Iterable[Action], settings: FailoverSettings, router: str = DEFAULT_ENGINE
) -> list[FaultWindow]:
    """The faults' windows of a run with that router, in order; skipped faults have none."""
    by_number: dict[int, dict[str, Action]] = {}
    for action in actions:
        by_number.setdefault(action.window, {}).setdefault(action.action, action)
    return [_window(steps, settings, router) for steps in by_number.values() if Step.INJECTED in steps]


def never_answered(run: FaultRun, plan: DomainPlan) -> list[str]:
    """The active predictors that answered nothing in the whole run although others did; none where nobody is named."""
    named = {request.predictor for request in run.requests}
    return [name for name in plan.actives if name not in named] if named & set(plan.capacities) else []


def _unreached(window: FaultWindow, plan: DomainPlan, silent: Sequence[str]) -> FaultWindow:
    """The window, as missed where no request ever reached any active predictor that it hit."""
    struck = [name for name in window.targets if name in plan.actives]
    if window.missed or not struck or not set(struck) <= set(silent):
        return window
    return replace(window, missed=f"no request reached {' or '.join(struck)}")


def windows_of(run: FaultRun, settings: FailoverSettings) -> list[WindowRecords]:
    """The faults' windows of a run, in order, with what was recorded in them."""
    plan = next(plan for plan in settings.topologies if plan.name == run.run.topology)
    loads, silent = {load.name: load for load in settings.offered_loads}, never_answered(run, plan)
    return [
        WindowRecords(
            _unreached(window, plan, silent),
            run,
            plan,
            loads[window.load],
            settings.service_time_s,
            settings.erlangs(loads[window.load]),
            router_tells=not settings.is_foreign(plan),
        )
        for window in find_windows(run.actions, settings, settings.router_of(plan))
    ]


def _window(steps: dict[str, Action], settings: FailoverSettings, router: str) -> FaultWindow:
    injected, repaired_s, recovered_s = steps[Step.INJECTED], steps[Step.REPAIRED].time_s, steps[Step.RECOVERED].time_s
    struck_s = injected.time_s
    end_s = repaired_s if FAULTS[injected.fault].planned else max(struck_s + settings.window_s, recovered_s)
    return FaultWindow(
        number=injected.window,
        fault=injected.fault,
        load=injected.load,
        targets=injected.target.split("+") if injected.target else [],
        injected_s=struck_s,
        repair_s=steps.get(Step.REPAIR, injected).time_s,
        repaired_s=repaired_s,
        recovered_s=recovered_s,
        end_s=end_s,
        effect=fault_of(injected.fault, settings).effect_behind(router),
        missed=steps[Step.MISSED].target if Step.MISSED in steps else "",
    )


def lateness_p99_s(window: FaultWindow, requests: Sequence[SteadyRequest]) -> float:
    """The time by which 99 % of the window's requests were sent at the latest after they were due, in seconds.

    Those that were due in it and sent after its end count too: else a generator that stalls at the end looks punctual.
    """
    own = (each for each in requests if window.contains(each.sent_at_s) or window.contains(each.due_at_s))
    return percentile([each.sent_at_s - each.due_at_s for each in own], 99) or 0.0


def generator_on_time(window: FaultWindow, requests: Sequence[SteadyRequest]) -> bool:
    """Whether the generator sent in this window what it should, when it should."""
    offered = any(request.kind != OVERSIZE and window.contains(request.sent_at_s) for request in requests)
    return offered and lateness_p99_s(window, requests) <= MOST_LATENESS_S
