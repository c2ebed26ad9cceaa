"""The figures of one fault's window, a row each: how it is computed, what it is, how it is written."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import ROUTER
from experiments.failover.slots import below_need_s, recovered_for_good_s, without_reserve_s
from experiments.failover.windows import (
    MOST_LATENESS_OF_LOSSES_S,
    MOST_LATENESS_S,
    WindowRecords,
    lateness_p99_s,
)
from experiments.results.records import LEFT_OUT_EMPTY
from experiments.results.statistics import percentile, rounded
from experiments.theory.fault_scenario import Effect

OUTAGE = (
    "from the fault to the sending of the last request lost in its window; 0 where none was lost that was sent "
    "after it. Not all in between need be lost"
)
"""What an outage is, wherever it is told, without a full stop."""

DELAYED_S = 0.5
"""A good answer is delayed if it comes later than the service time and this."""


@dataclass(frozen=True)
class Form:
    """How the values of a figure are written."""

    template: str
    """In a table's cell."""
    is_percent: bool = False
    """Whether charts and differences are in percent."""
    scale: float = 1.0
    """What a value is multiplied by in a cell."""
    unit: str = ""
    """Of a difference, in a sentence."""

    def __call__(self, value: float) -> str:
        """The value as a table's cell."""
        return self.template.format(value * self.scale)

    def difference(self, value: float) -> str:
        """A difference of two values, in a sentence."""
        return f"{self._plain(value)} {self.unit}".rstrip()

    def interval(self, low: float, high: float) -> str:
        """An interval of differences."""
        return f"{self._plain(low)} to {self.difference(high)}"

    def _plain(self, value: float) -> str:
        return f"{value * (100 if self.is_percent else self.scale):.2f}"


PERCENT = Form("{:.2%}", is_percent=True, unit="points")
SHARE = Form("{:.0%}")
NUMBER = Form("{:.1f}")
REQUESTS = Form("{:.1f}", unit="requests")
COUNT = Form("{:g}")
SECONDS = Form("{:.2f} s", unit="s")
MILLISECONDS = Form("{:.0f} ms", scale=1000)


@dataclass(frozen=True)
class WindowFigures:
    """The figures of one window, as summary.json has them; WINDOW_METRICS computes them. Times count from the fault."""

    fault: str
    """The fault's name."""
    load: str
    """The load under which it struck: its name."""
    repeat: int
    """The run's number among those of its topology, from 1."""
    targets: list[str]
    """Whom it hit."""
    injected_s: float
    """When it struck, in epoch seconds."""
    length_s: float
    """The window's length."""
    offered: int
    lost: int
    refused: int
    """Requests among those lost that were answered 429, 502 or 503."""
    refused_after_s: float | None
    """The median time from sending such a request to its refusal; null where there was none."""
    longest_wait_s: float | None
    """The longest time from sending a request to its end, good or lost; null where none was offered."""
    delayed: int
    lost_by_reason: dict[str, int]
    """The router's reason or the transport error -> requests lost for it."""
    availability: float
    """Good answers divided by requests offered, of this window."""
    downtime_s: float | None
    outage_s: float
    below_need_s: float | None
    without_reserve_s: float | None
    offered_rate_per_s: float
    throughput_per_s: float
    capacity_lost_share: float
    """Slots of the predictors that the fault hits, divided by all slots."""
    added_wait_p99_s: float | None
    """The time within which 99 % of the good answers came, less the service time."""
    longest_added_wait_s: float | None
    """The longest time to a good answer, less the service time."""
    recovery_s: float | None
    """From the fault until as many slots as planned are in rotation again for good."""
    redundancy_s: float | None
    """From the fault until every predictor is as planned again for good; null where the router saw none missing."""
    response_s: float | None
    """From the fault to the router's first reaction."""
    standby_answer_s: float | None
    """From the fault to the standby's first good answer."""
    oversize_sent: int
    """Requests sent with a body over the limit."""
    oversize_refused: int
    """Requests among them that were answered 413, as is right."""
    lateness_p99_s: float
    missed: str = field(default="", metadata=LEFT_OUT_EMPTY)
    """Why it is not proven that the fault struck, or that a request met it: the window is in no figure then; no such
    key where it is."""

    @property
    def valid(self) -> bool:
        """Whether the fault struck and the generator was on time: times and delays are the deployment's own."""
        return not self.missed and self.offered > 0 and self.lateness_p99_s <= MOST_LATENESS_S

    @property
    def counts_losses(self) -> bool:
        """Whether the fault struck and the generator was nearer to its time than a fault lasts."""
        return not self.missed and self.offered > 0 and self.lateness_p99_s < MOST_LATENESS_OF_LOSSES_S

    @property
    def of_router(self) -> bool:
        """Whether the fault was the router's own, which is in front of every topology alike."""
        return self.targets == [ROUTER]

    @property
    def of_predictors(self) -> bool:
        """Whether it hit predictors."""
        return bool(self.targets) and not self.of_router


def measure_window(records: WindowRecords) -> WindowFigures:
    """The figures of one window."""
    window, values = records.window, {metric.name: metric.compute(records) for metric in WINDOW_METRICS}
    repeat = records.run.run.repeat
    about: dict[str, Any] = {"fault": window.fault, "load": window.load, "targets": window.targets}
    return WindowFigures(repeat=repeat, missed=window.missed, **about, **values)


def _hits_router(records: WindowRecords) -> bool:
    """Whether the fault hits the router, which is in front of all predictors."""
    return records.window.targets == [ROUTER]


def _spares_requests(records: WindowRecords) -> bool:
    """Whether the fault hits the router, and yet it serves all along."""
    return _hits_router(records) and records.window.effect is Effect.NONE


def _availability(records: WindowRecords) -> float:
    return round(len(records.answered) / len(records.offered), 6) if records.offered else 0.0


def _delayed(records: WindowRecords) -> int:
    return sum(request.latency_s > records.service_time_s + DELAYED_S for request in records.answered)


def _refused_after_s(records: WindowRecords) -> float | None:
    return rounded(percentile([request.latency_s for request in records.refused], 50), 4)


def _longest_wait_s(records: WindowRecords) -> float | None:
    return rounded(max((request.latency_s for request in records.offered), default=None), 4)


def _sent_per_s(records: WindowRecords) -> float:
    return len(records.sent) / records.window.length_s


def _downtime_s(records: WindowRecords) -> float | None:
    return round(len(records.lost) / _sent_per_s(records), 3) if records.sent else None


def _added_wait_s(records: WindowRecords, percent: float) -> float | None:
    """The time within which so many of the good answers came, less the service time."""
    latency_s = percentile([request.latency_s for request in records.answered], percent)
    return None if latency_s is None else round(max(0.0, latency_s - records.service_time_s), 4)


def _outage_s(records: WindowRecords) -> float:
    """Seconds from the fault to the sending of the last request lost; 0 where none was that was sent after it."""
    last_s = max((request.sent_at_s for request in records.lost), default=records.window.injected_s)
    return round(max(0.0, records.window.since_s(last_s)), 3)


def _slot_time_s(records: WindowRecords, measure: Callable[[WindowRecords], float | None]) -> float | None:
    """A time by the slots of predictors: a fault of the router has none, and a router without events tells none."""
    return None if _hits_router(records) or not records.router_tells else rounded(measure(records), 3)


def _capacity_lost_share(records: WindowRecords) -> float:
    """The share of all slots that the fault takes; of planned work, which takes one after the other, the largest."""
    window, plan = records.window, records.plan
    if _hits_router(records):
        return 0.0 if _spares_requests(records) else 1.0
    lost = max(plan.capacities.values()) if FAULTS[window.fault].planned else plan.slots_of(window.targets)
    return round(lost / plan.slots, 4)


def _recovery_s(records: WindowRecords) -> float | None:
    """Seconds from the fault until the planned slots are in rotation for good; None if none were ever missing."""
    if _spares_requests(records):
        return None
    if _hits_router(records):
        return _after_s(records, records.window.repaired_s)
    if not records.router_tells:
        return None
    return _after_s(records, recovered_for_good_s(records, in_roles=False))


def _redundancy_s(records: WindowRecords) -> float | None:
    """Seconds from the fault until all is as planned for good; None if it was all along."""
    if _spares_requests(records):
        return None
    if _hits_router(records):
        return _after_s(records, records.window.recovered_s)
    if not records.router_tells:
        return None
    return _after_s(records, recovered_for_good_s(records, in_roles=True))


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
    WindowMetric("injected_s", lambda records: records.window.injected_s),
    WindowMetric("length_s", lambda records: round(records.window.length_s, 3)),
    WindowMetric("offered", lambda records: len(records.offered),
                 definition="requests sent in the window and those in flight when the fault struck (sent before, "
                 "finished after it), bodies over the limit not counted: to refuse those is right"),
    WindowMetric("offered_rate_per_s", lambda records: round(_sent_per_s(records), 3),
                 "Offered/s", NUMBER, "requests sent in the window divided by its length"),
    WindowMetric("throughput_per_s",
                 lambda records: round(sum(each.good for each in records.sent) / records.window.length_s, 3),
                 definition="good answers to requests sent in the window, divided by its length"),
    WindowMetric("availability", _availability),
    WindowMetric("lost", lambda records: len(records.lost),
                 "Lost", NUMBER, "requests offered that got no good answer", loss_reasons),
    WindowMetric("lost_by_reason", lambda records: dict(Counter(each.reason for each in records.lost).most_common())),
    WindowMetric("refused", lambda records: len(records.refused),
                 definition="requests among those lost that were answered 429, 502 or 503, as routers do that can have "
                 "nobody serve them"),
    WindowMetric("refused_after_s", _refused_after_s,
                 definition="the median time from sending such a request to its refusal; null where there was none"),
    WindowMetric("longest_wait_s", _longest_wait_s,
                 definition="the longest time from sending a request offered to its end, good or lost, the service "
                 "time included; null where none was offered"),
    WindowMetric("delayed", _delayed, "Delayed", NUMBER,
                 f"good answers that came later than the service time and {DELAYED_S:g} s, those to requests in flight "
                 "when the fault struck included"),
    WindowMetric("downtime_s", _downtime_s, "Downtime", SECONDS,
                 "equivalent downtime: requests lost divided by the offered rate; so long a silence would have lost as "
                 "many"),
    WindowMetric("outage_s", _outage_s, "Outage", SECONDS,
                 f"outage as clients saw it: {OUTAGE}"),
    WindowMetric("below_need_s", lambda records: _slot_time_s(records, below_need_s), "Below need", SECONDS,
                 "the time in which fewer slots were in rotation, by the router's events, than the load needs: the "
                 "fewest that refuse at most 1 % of it (Erlang B)"),
    WindowMetric("without_reserve_s", lambda records: _slot_time_s(records, without_reserve_s), "No reserve", SECONDS,
                 "the time in which the loss of the largest predictor of those in rotation or standing by warm would "
                 "have left fewer slots than the load needs; null where a topology has no such reserve by plan: "
                 "always"),
    WindowMetric("capacity_lost_share", _capacity_lost_share),
    WindowMetric("added_wait_p99_s", lambda records: _added_wait_s(records, 99), "Wait p99", SECONDS),
    WindowMetric("longest_added_wait_s", lambda records: _added_wait_s(records, 100), "Longest", SECONDS),
    WindowMetric("response_s", _response_s, "Reaction", SECONDS),
    WindowMetric("standby_answer_s",
                 lambda records: _after_s(records, next((time_s for time_s, _ in records.standby_answers), None)),
                 "Standby", SECONDS),
    WindowMetric("recovery_s", _recovery_s, "Slots back", SECONDS),
    WindowMetric("redundancy_s", _redundancy_s, "As planned", SECONDS),
    WindowMetric("oversize_sent", lambda records: len(records.oversize)),
    WindowMetric("oversize_refused", lambda records: sum(each.status == 413 for each in records.oversize)),
    WindowMetric("lateness_p99_s", lambda records: round(lateness_p99_s(records.window, records.run.requests), 4),
                 "Lateness", MILLISECONDS,
                 "the time by which 99 % of the requests due or sent in a window were sent at the latest after they "
                 "were due: the generator's own; above 0.1 s, or where nothing was offered, the window is invalid: it "
                 "is in no time and no delay, and the fault is repeated (twice at most); from 1 s, the size of a "
                 "fault's effect, it is in no loss either"),
)  # fmt: skip
"""Every figure of a window, in the order of the columns."""

COLUMNS = tuple(metric for metric in WINDOW_METRICS if metric.label)
"""The figures that the table of every fault shows."""
