"""What each fault costs each topology under each load, and what faults cost it in the mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from experiments.failover.faults import FAULTS
from experiments.failover.window_metrics import WindowFigures
from experiments.results.records import LEFT_OUT_EMPTY
from experiments.theory.first_failure import Spread

LEVEL = 0.05
"""A bound is passed at most this often."""

MEANS_OF_LOSSES = ("lost", "lost_with_invalid", "downtime_s")
MEANS_OF_TIMES = ("delayed", "outage_s", "below_need_s", "without_reserve_s", "added_wait_p99_s", "recovery_s")
"""The fields of an impact that are means."""


@dataclass(frozen=True)
class Predicted:
    """What theory says of the valid windows of a fault together, and whether the measured sum lies inside."""

    expected: Spread
    """The sum over as many windows."""
    measured: int
    """The measured sum over the valid windows."""
    inside: bool
    """Whether it lies in the 5 to 95 % range."""


@dataclass(frozen=True)
class Impact:
    """What a fault costs, in the mean of its windows; null: nothing was measured."""

    fault: str
    """The fault's name."""
    windows: int
    """The windows whose losses count."""
    invalid: int
    """Those left out of the losses: there the generator was as late as a fault's effect is long, 1 s or more."""
    late: int
    """Those left out of times and delays: there it was over 0.1 s late."""
    lost_total: int
    """Requests lost in the windows that count."""
    offered_total: int
    """Requests offered in them."""
    lost: float | None
    """Requests lost per fault."""
    lost_with_invalid: float | None
    """The same with the invalid windows."""
    most_share_losing: float | None
    """Where none was lost: the greatest share of such faults that could lose something (95 % confidence)."""
    delayed: float | None
    """Good answers per fault that came later than the service time and 0.5 s."""
    downtime_s: float | None
    """Equivalent downtime: requests lost divided by the offered rate."""
    outage_s: float | None
    """Outage as clients saw it: from the fault to the sending of the last request lost in its window; 0 where none was
    lost that was sent after it. Not all in between need be lost."""
    below_need_s: float | None
    """Time with fewer slots in rotation than the load needs."""
    without_reserve_s: float | None
    """Time in which one more failure would have left too few slots; null where a topology has no reserve by plan."""
    added_wait_p99_s: float | None
    """The time within which 99 % of the good answers came, less the service time."""
    longest_added_wait_s: float | None
    """The longest time to a good answer, less the service time, of all windows."""
    recovery_s: float | None
    """From the fault until as many slots as planned were in rotation again for good."""
    predicted_lost: Predicted | None = None
    """Theory beside the requests lost; null where it has no figure."""
    predicted_delayed: Predicted | None = None
    """Theory beside the requests delayed."""
    missed: int = field(default=0, metadata=LEFT_OUT_EMPTY)
    """The windows in which it is not proven that the fault struck: they are in no figure; no such key for none."""


def most_share_losing(windows: int) -> float:
    """The greatest share of faults that could lose something where none of so many did, with 95 % confidence.

    The share p at which a run of so many without a loss still comes in 5 % of cases, (1 - p)^n = 0.05: the "rule of
    three" before its approximation (J. A. Hanley, A. Lippman-Hand, "If nothing goes wrong, is everything all right?",
    JAMA 249, 1983).
    """
    return 1.0 - math.pow(LEVEL, 1 / windows)


def measure_impact(fault: str, windows: Sequence[WindowFigures]) -> Impact:
    """The impact of one fault from all its windows."""
    missed = sum(bool(each.missed) for each in windows)
    windows = [each for each in windows if not each.missed]
    counted, timed = [each for each in windows if each.counts_losses], [each for each in windows if each.valid]
    lost = sum(window.lost for window in counted)
    waits_s = [window.longest_added_wait_s for window in timed if window.longest_added_wait_s is not None]
    return Impact(
        fault=fault,
        windows=len(counted),
        invalid=len(windows) - len(counted),
        late=len(windows) - len(timed),
        lost_total=lost,
        offered_total=sum(window.offered for window in counted),
        lost=_mean(counted, "lost"),
        lost_with_invalid=_mean(windows, "lost"),
        most_share_losing=round(most_share_losing(len(counted)), 4) if counted and not lost else None,
        delayed=_mean(timed, "delayed"),
        downtime_s=_mean(counted, "downtime_s"),
        outage_s=_mean(timed, "outage_s"),
        below_need_s=_mean(timed, "below_need_s"),
        without_reserve_s=_mean(timed, "without_reserve_s"),
        added_wait_p99_s=_mean(timed, "added_wait_p99_s"),
        longest_added_wait_s=max(waits_s, default=None),
        recovery_s=_mean(timed, "recovery_s"),
        missed=missed,
    )


def average_impact(counted: Sequence[Impact], timed: Sequence[Impact]) -> Impact:
    """The mean of several faults' impacts, each counted once: losses of the first, times and delays of the second.

    Its fault's name is empty.
    """
    lost, windows = sum(each.lost_total for each in counted), sum(each.windows for each in counted)
    waits_s = [each.longest_added_wait_s for each in timed if each.longest_added_wait_s is not None]
    means: dict[str, Any] = {
        name: _mean_of([getattr(each, name) for each in impacts])
        for names, impacts in ((MEANS_OF_LOSSES, counted), (MEANS_OF_TIMES, timed))
        for name in names
    }
    return Impact(
        fault="",
        windows=windows,
        invalid=sum(each.invalid for each in counted),
        late=sum(each.late for each in counted),
        lost_total=lost,
        offered_total=sum(each.offered_total for each in counted),
        most_share_losing=round(most_share_losing(windows), 4) if windows and not lost else None,
        longest_added_wait_s=max(waits_s, default=None),
        **means,
    )


def is_failure(fault: str) -> bool:
    """Whether it is neither the control nor planned work."""
    return not FAULTS[fault].planned and not FAULTS[fault].is_control


def _mean(windows: Sequence[WindowFigures], name: str) -> float | None:
    return _mean_of([getattr(window, name) for window in windows])


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None
