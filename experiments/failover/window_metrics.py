"""The figures of one fault's window, a row each: how it is computed, what it is, how it is written."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import ROUTER
from experiments.failover.windows import MOST_LATENESS_S, WindowRecords, lateness_p99_s


@dataclass(frozen=True)
class Form:
    """How the values of a figure are written."""

    template: str
    """In a table's cell."""
    sentence: str = "{:.4g}"
    """In a sentence."""
    is_percent: bool = False
    """Whether charts and differences are in percent."""
    scale: float = 1.0
    """What a value is multiplied by in a cell."""

    def __call__(self, value: float) -> str:
        """The value as a table's cell."""
        return self.template.format(value * self.scale)


PERCENT = Form("{:.2%}", "{:.2%}", is_percent=True)
SHARE = Form("{:.0%}")
NUMBER = Form("{:.1f}")
COUNT = Form("{:g}")
SECONDS = Form("{:.2f} s")
MILLISECONDS = Form("{:.0f} ms", scale=1000)


@dataclass(frozen=True)
class WindowFigures:
    """The figures of one window, as summary.json has them; WINDOW_METRICS computes them. Times count from the fault."""

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
        """Whether the generator was on time."""
        return self.offered > 0 and self.lateness_p99_s <= MOST_LATENESS_S


def measure_window(records: WindowRecords) -> WindowFigures:
    """The figures of one window."""
    window, values = records.window, {metric.name: metric.compute(records) for metric in WINDOW_METRICS}
    return WindowFigures(fault=window.fault, repeat=records.run.run.repeat, targets=window.targets, **values)


def _hits_router(records: WindowRecords) -> bool:
    """Whether the fault hits the router, which is in front of all predictors, and not one of that name."""
    return records.window.targets == [ROUTER] and ROUTER not in records.plan.capacities


def _availability(records: WindowRecords) -> float:
    return round(len(records.answered) / len(records.offered), 6) if records.offered else 0.0


def _worst_added_wait_s(records: WindowRecords) -> float | None:
    waits_s = [request.latency_s - records.service_time_s for request in records.answered]
    return round(max(0.0, *waits_s), 4) if waits_s else None


def _capacity_lost_share(records: WindowRecords) -> float:
    """The share of all slots that the fault takes; of planned work, which takes one after the other, the largest."""
    window, plan = records.window, records.plan
    if _hits_router(records):
        return 1.0
    lost = max(plan.capacities.values()) if FAULTS[window.fault].planned else plan.slots_of(window.targets)
    return round(lost / plan.slots, 4)


def _recovery_s(records: WindowRecords) -> float | None:
    """Seconds from the fault until the planned slots are in rotation for good; None if none were ever missing."""
    window, plan = records.window, records.plan
    if _hits_router(records):
        return _after_s(records, window.repaired_s)
    steps = list(_slots_in_rotation(records))
    missing = [number for number, (_, slots) in enumerate(steps) if slots < plan.slots_of(plan.actives)]
    if not missing:
        return None
    return _after_s(records, next((time_s for time_s, _ in steps[missing[-1] + 1 :]), window.recovered_s))


def _slots_in_rotation(records: WindowRecords) -> Iterator[tuple[float, int]]:
    """Moment and slots in rotation after each of the window's events, starting from the plan."""
    plan = records.plan
    inside, down = set(plan.actives), set[str]()
    for event in records.events:
        kind, name = event.event, event.predictor
        if kind in ("ejected", "failed"):
            down.add(name)
        elif kind in ("readmitted", "recovered"):
            down.discard(name)
        if kind in ("ejected", "drained", "demoted"):
            inside.discard(name)
        elif kind in ("promoted", "readmitted") or (kind == "ready" and name in plan.actives and name not in down):
            inside.add(name)
        yield event.time, plan.slots_of(inside & plan.capacities.keys())


def _response_s(records: WindowRecords) -> float | None:
    reactions = (event.time for event in records.events if event.event in ("ejected", "promoted"))
    return _after_s(records, next(reactions, None))


def _after_s(records: WindowRecords, time_s: float | None) -> float | None:
    """Seconds from the fault to the moment; None where there was none."""
    return None if time_s is None else round(records.window.since_s(time_s), 3)


def loss_reasons(windows: Sequence[WindowFigures]) -> str:
    """For what requests were lost in these windows."""
    return ", ".join(sorted({reason for window in windows for reason in window.lost_by_reason}))


@dataclass(frozen=True)
class WindowMetric:
    """One figure of a window."""

    name: str
    """The field of WindowFigures, and its key in summary.json."""
    compute: Callable[[WindowRecords], Any]
    label: str = ""
    """The head of its column; empty: it has none."""
    form: Form = COUNT
    definition: str = ""
    """What it is, where summary.json defines it; else the field's docstring says so."""
    note: Callable[[Sequence[WindowFigures]], str] | None = None
    """What stands below its value."""


WINDOW_METRICS: tuple[WindowMetric, ...] = (
    WindowMetric("length_s", lambda records: round(records.window.length_s, 3)),
    WindowMetric("offered", lambda records: len(records.offered),
                 definition="requests sent in the window, bodies over the limit not counted: to refuse those is right"),
    WindowMetric("offered_rate_per_s", lambda records: round(len(records.offered) / records.window.length_s, 3),
                 "Offered/s", NUMBER, "requests offered divided by the window's length"),
    WindowMetric("throughput_per_s", lambda records: round(len(records.answered) / records.window.length_s, 3),
                 "Good/s", NUMBER, "good answers divided by the window's length"),
    WindowMetric("availability", _availability, "Available", PERCENT),
    WindowMetric("lost", lambda records: len(records.lost),
                 "Lost", COUNT, "requests offered in the window that got no good answer", loss_reasons),
    WindowMetric("lost_by_reason", lambda records: dict(Counter(each.reason for each in records.lost).most_common())),
    WindowMetric("capacity_lost_share", _capacity_lost_share),
    WindowMetric("worst_added_wait_s", _worst_added_wait_s, "Added wait", SECONDS),
    WindowMetric("response_s", _response_s, "Reaction", SECONDS),
    WindowMetric("standby_answer_s",
                 lambda records: _after_s(records, next((time_s for time_s, _ in records.standby_answers), None)),
                 "Standby", SECONDS),
    WindowMetric("recovery_s", _recovery_s, "Slots back", SECONDS),
    WindowMetric("redundancy_s", lambda records: _after_s(records, records.window.recovered_s), "As planned", SECONDS),
    WindowMetric("oversize_sent", lambda records: len(records.oversize)),
    WindowMetric("oversize_refused", lambda records: sum(each.status == 413 for each in records.oversize)),
    WindowMetric("lateness_p99_s", lambda records: round(lateness_p99_s(records.window, records.run.requests), 4),
                 "Lateness", MILLISECONDS,
                 "the time by which 99 % of the requests due or sent in a window were sent at the latest after they "
                 "were due: the generator's own; above 0.1 s, or where nothing was offered, the window is invalid, "
                 "left out of every figure, and the fault repeated (twice at most)"),
)  # fmt: skip
"""Every figure of a window, in the order of the columns."""

COLUMNS = tuple(metric for metric in WINDOW_METRICS if metric.label)
"""The figures that the table of every fault shows."""
