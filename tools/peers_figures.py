"""The figures of docs/peers.md: what a fault costs behind each router, how sure that is, and where routers differ.

Pure. What they are computed from stands in peers_results.py; sentences and tables in peers_text.py and peers_tables.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb, sqrt
from statistics import fmean, variance

from scipy.stats import t  # type: ignore[import-untyped]

from benchmarks.contenders import DIRECT
from experiments.options import ENGINES, Margins
from experiments.theory.intervals import Interval, poisson
from experiments.theory.verdicts import LEVEL, Verdict, judge
from tools.peers_results import CONTROL, CONTROL_ON_HOSTS, Cell, Results, Speed

OWN = ENGINES
"""This project's router, by its engines."""

SATURATION = "saturation"
CONNECTIONS = (1, 8, 64)
LEAST_WAIT_S = 0.1
"""Differences of waits that are smaller count as none: the windows' longest differ by milliseconds for any reason."""

LEAST_PERCENT = 1.0
"""The same of the percentages refused at saturation."""

LEAST_REFUSAL_S = 0.01
"""The same of the times to a refusal: what takes milliseconds takes none for a client."""

LEAST_SHARE = Margins.relative_percent / 100
"""Of speeds the same: a share of the greater."""

CONTROLS = (CONTROL, CONTROL_ON_HOSTS)


def losses(cell: Cell) -> list[int]:
    """Requests lost in each window; at saturation without those refused: to refuse what has no slot is right."""
    if cell.fault != SATURATION or len(cell.refused) != len(cell.lost):
        return cell.lost
    return [lost - refused for lost, refused in zip(cell.lost, cell.refused, strict=True)]


def outages(cell: Cell) -> list[float]:
    """How long requests were lost in each window; none where requests are refused by right, or nothing strikes."""
    return [] if cell.fault in (SATURATION, *CONTROLS) else cell.outage_s


def refused_percent(cell: Cell) -> list[float]:
    """What was refused of what was offered in each window at saturation; none where runs do not tell."""
    if cell.fault != SATURATION or len(cell.refused) != len(cell.offered):
        return []
    return [100 * refused / offered for refused, offered in zip(cell.refused, cell.offered, strict=True)]


def refused_after(cell: Cell) -> list[float]:
    """After which time a refusal came at saturation, in each window that had some."""
    return cell.refused_after_s if cell.fault == SATURATION else []


def mean_lost(cell: Cell) -> float:
    """Requests lost per fault. No share compares routers: windows last until one recovers, so late ones have more."""
    return fmean(losses(cell))


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
    OUTAGE = "outage"
    WAIT = "wait"
    REFUSED = "refused"
    REFUSED_AFTER = "refused after"
    RATE = "rate"
    ADDED = "added"
    ADDED_P99 = "added p99"


OF_FAULTS: Mapping[Kind, Callable[[Cell], Sequence[float]]] = {
    Kind.LOST: losses,
    Kind.OUTAGE: outages,
    Kind.WAIT: lambda cell: cell.longest_wait_s,
    Kind.REFUSED: refused_percent,
    Kind.REFUSED_AFTER: refused_after,
}
"""Figures of a fault, a value per window."""

OF_SPEEDS: Mapping[Kind, Callable[[Speed, Speed | None], Sequence[float]]] = {
    Kind.RATE: lambda speed, _: speed.rate_per_s,
    Kind.ADDED: added_ms,
    Kind.ADDED_P99: lambda speed, direct: added_ms(speed, direct, "p99_ms"),
}
"""Figures of a load, a value per repeat; they are given what going direct has."""

MARGINS = {
    Kind.OUTAGE: LEAST_WAIT_S, Kind.WAIT: LEAST_WAIT_S, Kind.REFUSED: LEAST_PERCENT,
    Kind.REFUSED_AFTER: LEAST_REFUSAL_S,
}  # fmt: skip
"""Up to which difference two figures are called equal; of others none is."""


@dataclass(frozen=True)
class Comparison:
    """Another router beside the one in question, in one figure."""

    kind: Kind
    where: str
    """The fault, or under how many connections."""
    beside: str
    """The router in question: one of this project's, unless another was asked for."""
    other: str
    beside_value: float
    """Its mean over the windows or repeats, which is what the test judges."""
    other_value: float
    """The other's."""
    verdict: Verdict
    """On the other router, by an exact permutation test at 5 %."""
    counts: tuple[int, int]
    """How many windows or repeats each has."""

    @property
    def can_differ(self) -> bool:
        """Whether there are enough for the test to call any two routers different."""
        return 2 / comb(sum(self.counts), self.counts[0]) <= LEVEL

    @property
    def may_be_better(self) -> bool:
        """Whether the other's figure is better by what a reader would care for, but perhaps by chance."""
        ahead = (self.beside_value - self.other_value) * (-1 if self.kind is Kind.RATE else 1)
        least = MARGINS.get(self.kind, 0.0)
        if self.kind in OF_SPEEDS:
            least = LEAST_SHARE * max(abs(self.beside_value), abs(self.other_value))
        return self.verdict is Verdict.NOT_DECIDED and ahead > least and self.where not in CONTROLS


def usual_beside(results: Results) -> list[str]:
    """Beside whom the others are put unless another is named: this project's, else the first that was measured."""
    return [name for name in OWN if name in results.measured] or results.measured[:1]


def compare(results: Results, beside: Sequence[str]) -> list[Comparison]:
    """Each other router beside each of these, in every figure that both have; these are not compared among them."""
    found = [*_compare_faults(results, beside), *_compare_speeds(results, beside)]
    return [each for each in found if each is not None]


def _compare_faults(results: Results, beside: Sequence[str]) -> Iterator[Comparison | None]:
    for fault in results.faults:
        for own, other in _pairs(results.routers, beside):
            a, b = results.cell(own, fault), results.cell(other, fault)
            if a and b:
                for kind, values in OF_FAULTS.items():
                    yield _judged(kind, fault, own, other, values(a), values(b))


def _compare_speeds(results: Results, beside: Sequence[str]) -> Iterator[Comparison | None]:
    names = list(dict.fromkeys(each.router for each in results.speeds if each.router != DIRECT))
    for connections in CONNECTIONS:
        for own, other in _pairs(names, beside):
            a, b = results.speed(own, connections), results.speed(other, connections)
            if a and b:
                direct = results.speed(DIRECT, connections)
                for kind, values in OF_SPEEDS.items():
                    yield _judged(kind, load_text(connections), own, other, values(a, direct), values(b, direct))


def load_text(connections: int) -> str:
    """The load in words."""
    return f"{connections} connection{'s' if connections > 1 else ''}"


def gaps(results: Results, faults: Sequence[str]) -> dict[str, list[str]]:
    """Returns by router those of the faults without a window that counts, and the loads without a repeat."""
    loads = CONNECTIONS if results.speeds else ()
    return {
        router: [
            *(fault for fault in faults if results.cell(router, fault) is None),
            *(load_text(count) for count in loads if results.speed(router, count) is None),
        ]
        for router in results.measured
    }


def _pairs(routers: Sequence[str], beside: Sequence[str]) -> list[tuple[str, str]]:
    """Each of these with each other one."""
    return [(own, other) for own in beside if own in routers for other in routers if other not in beside]


def _judged(
    kind: Kind, where: str, own: str, other: str, own_values: Sequence[float], other_values: Sequence[float]
) -> Comparison | None:
    """The comparison; None where one has no value."""
    if not own_values or not other_values:
        return None
    margin = MARGINS.get(kind, 0.0)
    found = judge(other_values, own_values, margin, more_is_better=kind is Kind.RATE, paired=False)
    counts = len(own_values), len(other_values)
    return Comparison(kind, where, own, other, fmean(own_values), fmean(other_values), found.verdict, counts)
