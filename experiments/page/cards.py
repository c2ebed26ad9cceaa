"""Key figures at the head of a report: one card per topology or per number of slots."""

from dataclasses import dataclass

from experiments.blocking.figures import BlockingSummary, PointFigures
from experiments.compare.summary import Summary, TopologySummary
from experiments.failover.summary import Summary as BrokenSummary
from experiments.failover.summary import TopologySummary as BrokenTopology
from experiments.results.statistics import RunStats

NONE = "-"


@dataclass(frozen=True)
class Card:
    """One large figure with its name, what it counts, and a few facts beside it."""

    name: str
    what: str
    figure: str
    unit: str
    facts: list[tuple[str, str]]


def compare_cards(summary: Summary) -> list[Card]:
    """The rate at first failure of each topology."""
    return [_compare_card(topology, len(topology.runs) > 1) for topology in summary.topologies]


def _compare_card(topology: TopologySummary, has_repeats: bool) -> Card:
    theory, post = topology.theory.rate_per_s, topology.post.rate_at_failure_per_s
    facts = [
        ("theory, 90 % of runs", NONE if theory is None else f"{theory.p5:.1f} to {theory.p95:.1f}"),
        ("users by then", _median(topology.users, "{:.0f}")),
        ("cause", ", ".join(topology.causes) or "no failure"),
    ]
    if post is not None:
        facts.append(("in the post", f"{post:g}"))
    return Card(
        name=topology.topology,
        what=layout(topology.roles, topology.slots),
        figure="at once" if topology.failed_at_once else _median(topology.rate_at_first_failure_per_s, "{:.1f}"),
        unit=_compare_unit(topology, has_repeats),
        facts=facts,
    )


def _compare_unit(topology: TopologySummary, has_repeats: bool) -> str:
    if topology.failed_at_once:
        return "too soon to tell a rate"
    return "requests/s at the first failure" + (", median of the runs" if has_repeats else "")


def failover_cards(summary: BrokenSummary) -> list[Card]:
    """What faults cost each topology."""
    return [_failover_card(topology) for topology in summary.topologies]


def _failover_card(topology: BrokenTopology) -> Card:
    figures = topology.figures
    facts = [
        ("lost per fault", _median(figures["lost_per_fault"], "{:.1f} requests")),
        ("planned slots back, at worst", _median(figures["recovery_s"], "{:.1f} s")),
        ("router reacts, at worst", _median(figures["response_s"], "{:.1f} s")),
        ("answered during upgrades", _median(figures["planned_availability"], "{:.1%}")),
    ]
    if figures["capacity_in_region_per_s"] is not None:
        facts.append(("first failure at", _median(figures["capacity_in_region_per_s"], "{:.1f} requests/s")))
    return Card(
        name=topology.topology,
        what=layout(topology.roles, topology.slots),
        figure=_median(figures["availability"], "{:.2%}"),
        unit=f"of requests answered while faults struck{_spread(figures['availability'])}",
        facts=facts,
    )


def blocking_cards(summary: BlockingSummary) -> list[Card]:
    """How many points of each number of slots agree with Erlang B."""
    slots = dict.fromkeys(point.slots for point in summary.points)
    return [_blocking_card(each, [point for point in summary.points if point.slots == each]) for each in slots]


def _blocking_card(slots: int, points: list[PointFigures]) -> Card:
    valid = [point for point in points if not point.invalid]
    shares = [point.refused_share for point in valid]
    gap = max((point.gap for point in valid), key=abs, default=None)
    return Card(
        name=f"{slots} slots",
        what=f"{len(points)} loads, {sum(point.arrivals for point in points)} requests",
        figure=f"{sum(point.inside is True for point in valid)} of {len(valid)}" if valid else NONE,
        unit="valid points agree with Erlang B",
        facts=[
            ("refused", f"{min(shares):.1%} to {max(shares):.1%}" if shares else NONE),
            ("largest gap", NONE if gap is None else f"{100 * gap:+.2f} points"),
            ("invalid", str(len(points) - len(valid))),
        ],
    )


def layout(roles: dict[str, str], slots: int) -> str:
    """A topology in words: how many active and standby predictors, and slots."""
    kinds = [f"{count} {role}" for role in ("active", "standby") if (count := list(roles.values()).count(role))]
    return f"{', '.join(kinds)}; {slots} slots"


def _spread(share: RunStats | None) -> str:
    """The range of the runs, where there are several: a median alone would be taken for more than it is."""
    if share is None or share.count == 1:
        return ""
    return f", median of {share.count} runs ({share.low:.2%} to {share.high:.2%})"


def _median(repeats: RunStats | None, form: str) -> str:
    return NONE if repeats is None else form.format(repeats.median)
