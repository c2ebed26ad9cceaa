"""The figures of docs/peers.md: what a fault costs behind each router, how sure that is, and where routers differ.

Pure. What they are computed from stands in peers_results.py; sentences and tables in peers_text.py and peers_tables.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import fmean, median, variance

from scipy.stats import t  # type: ignore[import-untyped]

from benchmarks.contenders import DIRECT
from experiments.options import ENGINES
from experiments.theory.intervals import Interval, poisson
from experiments.theory.verdicts import Verdict, judge
from tools.peers_results import Cell, Results, Speed

OWN = ENGINES
"""This project's router, by its engines."""

SATURATION = "saturation"
CONNECTIONS = (1, 8, 64)
LEAST_WAIT_S = 0.1
"""Differences of waits that are smaller count as none: the windows' longest differ by milliseconds for any reason."""


def losses(cell: Cell) -> list[int]:
    """Requests lost in each window; at saturation without those refused: to refuse what has no slot is right."""
    if cell.fault != SATURATION or len(cell.refused) != len(cell.lost):
        return cell.lost
    return [lost - refused for lost, refused in zip(cell.lost, cell.refused, strict=True)]


def share_lost(cell: Cell) -> float:
    """The share of all requests offered that were lost."""
    return sum(losses(cell)) / sum(cell.offered)


def per_fault(lost: Sequence[int]) -> Interval | None:
    """The 95 % interval of the requests lost per fault, a value per window; None of one window, or where none lost any.

    Losses come in groups, so windows are the independent units: Student's t interval of their mean. Windows that are
    alike by chance would make it too short: it is never shorter than that of as many losses that come singly (Poisson).
    """
    total, windows = sum(lost), len(lost)
    if windows < 2 or not total:
        return None
    mean, single = total / windows, poisson(total)
    reach = float(t.ppf(0.975, windows - 1)) * sqrt(variance(lost) / windows)
    return Interval(max(0.0, min(mean - reach, single.low / windows)), max(mean + reach, single.high / windows))


def added_ms(speed: Speed, direct: Speed | None, figure: str = "p50_ms") -> list[float]:
    """What the router adds to the latency of going direct, in each repeat that has both."""
    without = _by_repeat(direct, figure)
    return [value - without[repeat] for repeat, value in _by_repeat(speed, figure).items() if repeat in without]


def ratios(speed: Speed, direct: Speed | None) -> list[float]:
    """Its throughput divided by that of going direct, in each repeat that has both."""
    without = _by_repeat(direct, "rate_per_s")
    return [value / without[repeat] for repeat, value in _by_repeat(speed, "rate_per_s").items() if repeat in without]


def _by_repeat(speed: Speed | None, figure: str) -> dict[int, float]:
    return dict(zip(speed.repeats, getattr(speed, figure), strict=True)) if speed else {}


class Kind(StrEnum):
    """In what routers are compared."""

    LOST = "lost"
    WAIT = "wait"
    RATE = "rate"
    ADDED = "added"


@dataclass(frozen=True)
class Comparison:
    """Another router beside this project's, in one figure."""

    kind: Kind
    where: str
    """The fault, or under how many connections."""
    own: str
    """The engine of this project's router."""
    other: str
    own_value: float
    other_value: float
    verdict: Verdict
    """On the other router, by an exact permutation test at 5 %."""

    @property
    def other_may_be_better(self) -> bool:
        """Whether its figure is the better one, but perhaps by chance."""
        ahead = self.other_value - self.own_value if self.kind is Kind.RATE else self.own_value - self.other_value
        return self.verdict is Verdict.NOT_DECIDED and ahead > margin_of(self.kind)


def margin_of(kind: Kind) -> float:
    """Up to which difference two figures are called equal; 0: none is."""
    return LEAST_WAIT_S if kind is Kind.WAIT else 0.0


def compare(results: Results) -> list[Comparison]:
    """Each other router beside each of this project's, in every figure that both have."""
    found = [*_compare_faults(results), *_compare_speeds(results)]
    return [each for each in found if each is not None]


def _compare_faults(results: Results) -> Iterator[Comparison | None]:
    for fault in results.faults:
        for own, other in _pairs(results.routers):
            a, b = results.cell(own, fault), results.cell(other, fault)
            if a and b:
                yield _judged(Kind.LOST, fault, own, other, losses(a), losses(b))
                yield _judged(Kind.WAIT, fault, own, other, a.longest_wait_s, b.longest_wait_s)


def _compare_speeds(results: Results) -> Iterator[Comparison | None]:
    names = list(dict.fromkeys(each.router for each in results.speeds if each.router != DIRECT))
    for connections in CONNECTIONS:
        for own, other in _pairs(names):
            a, b = results.speed(own, connections), results.speed(other, connections)
            if a and b:
                where = f"{connections} connection{'s' if connections > 1 else ''}"
                yield _judged(Kind.RATE, where, own, other, a.rate_per_s, b.rate_per_s)
                direct = results.speed(DIRECT, connections)
                yield _judged(Kind.ADDED, where, own, other, added_ms(a, direct), added_ms(b, direct))


def _pairs(routers: Sequence[str]) -> list[tuple[str, str]]:
    """Each of this project's with each other one."""
    return [(own, other) for own in OWN if own in routers for other in routers if other not in OWN]


def _judged(
    kind: Kind, where: str, own: str, other: str, own_values: Sequence[float], other_values: Sequence[float]
) -> Comparison | None:
    """The comparison; None where one has no value. Of speeds medians stand, of faults means, for losses are rare."""
    if not own_values or not other_values:
        return None
    found = judge(other_values, own_values, margin_of(kind), more_is_better=kind is Kind.RATE, paired=False)
    middle = fmean if kind in (Kind.LOST, Kind.WAIT) else median
    return Comparison(kind, where, own, other, middle(own_values), middle(other_values), found.verdict)
