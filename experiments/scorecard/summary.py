"""What a failover run comes to: summary.json's classes, computed from the records and from nothing else."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from experiments.faults import FAULTS
from experiments.faults.base import ROUTER
from experiments.metrics import Repeats, over_repeats
from experiments.scorecard.metrics import DEFINITIONS, WindowFigures, skipped, window_figures, windows
from experiments.scorecard.records import ALL_UP, DOMAIN_DOWN, DomainPlan, FaultRun, Settings
from experiments.scorecard.verdicts import Claim, Verdict, judge

SUMMARY = "summary.json"
SCHEMA_NAME = "failover/1"
CONTROL = "none"
SURGE = "surge"

FIGURES = (
    "capacity_in_region_per_s", "capacity_out_of_region_per_s", "availability", "planned_availability",
    "lost_per_fault", "capacity_lost_share", "worst_added_wait_s", "recovery_s", "redundancy_s", "response_s",
    "standby_answer_s", "surge_availability",
)  # fmt: skip
"""The scorecard's figures of a topology, each over the repeats."""


@dataclass(frozen=True)
class TopologySummary:
    """One topology: its figures over the repeats, and every window."""

    topology: str
    slots: int
    roles: dict[str, str]
    largest_domain: list[str]
    figures: dict[str, Repeats | None]
    windows: list[WindowFigures]
    skipped: dict[str, str]

    def cell(self, fault: str) -> list[WindowFigures]:
        """The fault's windows, over the repeats; those in which the generator lagged too."""
        return [window for window in self.windows if window.fault == fault]


@dataclass(frozen=True)
class Summary:
    """A whole failover run."""

    schema: str
    finding: list[str]
    settings: Settings
    topologies: list[TopologySummary]
    verdicts: list[Verdict]
    definitions: dict[str, str]


Found = dict[tuple[str, int], list[WindowFigures]]
"""Topology and repeat -> the figures of that run's windows."""


def summarize(settings: Settings, runs: Sequence[FaultRun]) -> Summary:
    """Compute the summary; topologies without a finished run are left out."""
    plans = {plan.name: plan for plan in settings.topologies}
    found: Found = {
        (run.run.topology, run.run.repeat): _windows(run, plans[run.run.topology], settings) for run in runs
    }
    done = {name: [run for run in runs if run.run.topology == name] for name in plans}
    summaries = [_topology(plans[name], group, settings, found) for name, group in done.items() if group]
    verdicts = [judge(claim, {s.topology: s.figures[claim.figure] for s in summaries}) for claim in CLAIMS]
    told = [verdict for verdict in verdicts if verdict is not None]
    pooled = {fault for _, repeat in found for fault in _pooled_faults(found, repeat)}
    return Summary(SCHEMA_NAME, _finding(settings, summaries, pooled), settings, summaries, told, DEFINITIONS)


CLAIMS = (
    Claim("3-active gives highest availability", "3active", "availability", True, "availability in faults",
          "3-active highest"),
    Claim("3-active gives lowest failure impacts", "3active", "lost_per_fault", False, "requests lost per fault",
          "3-active lowest"),
    Claim("2-active might give better resilience to surges", "2active", "surge_availability", True, "availability",
          "2-active might be better"),
)  # fmt: skip
"""What the post says without measuring it."""


def _pooled_faults(found: Found, repeat: int) -> set[str]:
    """The unplanned faults of a repeat that can be pooled: those of which every topology has a valid window."""
    runs = [windows for (_, number), windows in found.items() if number == repeat]
    valid = [{window.fault for window in windows if window.valid} for windows in runs]
    common = set.intersection(*valid)
    return {fault for fault in common if not FAULTS[fault].planned and fault != CONTROL}


def _topology(plan: DomainPlan, runs: Sequence[FaultRun], settings: Settings, found: Found) -> TopologySummary:
    values: dict[str, list[float | None]] = {name: [] for name in FIGURES}
    for run in runs:
        pooled = _pooled(found[plan.name, run.run.repeat], _pooled_faults(found, run.run.repeat))
        for name, value in (_capacity(run, plan, settings) | pooled).items():
            values[name].append(value)
    return TopologySummary(
        topology=plan.name,
        slots=plan.slots,
        roles=plan.roles,
        largest_domain=plan.largest_domain(),
        figures={name: over_repeats(v for v in each if v is not None) for name, each in values.items()},
        windows=[window for run in runs for window in found[plan.name, run.run.repeat]],
        skipped={fault: reason for run in runs for fault, reason in skipped(run.actions).items()},
    )


def _windows(run: FaultRun, plan: DomainPlan, settings: Settings) -> list[WindowFigures]:
    return [window_figures(window, run, plan, settings) for window in windows(run.actions, settings)]


def _capacity(run: FaultRun, plan: DomainPlan, settings: Settings) -> dict[str, float | None]:
    """Production capacity in and out of region, of one run."""
    rates: dict[str, float | None] = {}
    for part in (ALL_UP, DOMAIN_DOWN):
        records = run.capacity.get(part)
        failure = records.first_failure if records else None
        rates[part] = round(failure.rate_at_first_failure_per_s, 3) if failure else None
    if settings.capacity_spawn_rate_per_s and len(plan.largest_domain()) == len(plan.capacities):
        rates[DOMAIN_DOWN] = 0.0
    return {"capacity_in_region_per_s": rates[ALL_UP], "capacity_out_of_region_per_s": rates[DOMAIN_DOWN]}


def _pooled(found: Sequence[WindowFigures], faults: set[str]) -> dict[str, float | None]:
    """The figures of one run over its unplanned faults, and over its upgrade and its surge."""
    valid = [window for window in found if window.valid]
    unplanned = [window for window in valid if window.fault in faults]
    hit = [window for window in unplanned if window.targets and window.targets != [ROUTER]]
    return {
        "availability": _availability(unplanned),
        "planned_availability": _availability(window for window in valid if FAULTS[window.fault].planned),
        "lost_per_fault": round(sum(w.lost for w in unplanned) / len(unplanned), 3) if unplanned else None,
        "capacity_lost_share": _longest(hit, lambda window: window.capacity_lost_share),
        "worst_added_wait_s": _longest(unplanned, lambda window: window.worst_added_wait_s),
        "recovery_s": _longest(unplanned, lambda window: window.recovery_s),
        "redundancy_s": _longest(hit, lambda window: window.redundancy_s),
        "response_s": _longest(unplanned, lambda window: window.response_s),
        "standby_answer_s": _longest(hit, lambda window: window.standby_answer_s),
        "surge_availability": _availability(window for window in valid if window.fault == SURGE),
    }


def _availability(found: Iterable[WindowFigures]) -> float | None:
    kept = list(found)
    offered = sum(window.offered for window in kept)
    return round(1 - sum(window.lost for window in kept) / offered, 6) if offered else None


def _longest(found: Iterable[WindowFigures], figure: Callable[[WindowFigures], float | None]) -> float | None:
    return max((value for value in map(figure, found) if value is not None), default=None)


def _finding(settings: Settings, summaries: Sequence[TopologySummary], pooled: set[str]) -> list[str]:
    """The result in sentences, the main one first."""
    faults = [name for name in settings.faults if name in pooled]
    answered = [
        (summary.topology, availability, lost)
        for summary in summaries
        if (availability := summary.figures["availability"]) is not None
        and (lost := summary.figures["lost_per_fault"]) is not None
    ]
    sentences = ["No fault was measured in every topology, so there is nothing to compare."]
    if answered:
        shares = [f"{name} {_one_in(1 - availability.median)}" for name, availability, _ in answered]
        parts = [
            f"{name} answered {a.median:.2%} (lost {lost.median:.3g} requests per fault)" for name, a, lost in answered
        ]
        sentences = [
            f"Requests lost while faults struck: {_listed(shares)}.",
            f"Through {', '.join(faults)}: {'; '.join(parts)}; {_runs([each for _, each, _ in answered])}.",
            *_who_lost(summaries, faults),
        ]
    lagging = sum(not window.valid for s in summaries for window in s.windows)
    if lagging:
        sentences.append(
            f"Invalid windows: {lagging}. There the generator lagged (more than 1 % of the requests sent over 0.1 s "
            "late), and they are in no figure; a fault is pooled where every topology has a valid window."
        )
    return [*sentences, *_skips(summaries)]


def _one_in(share: float) -> str:
    """A share as a reader in a hurry takes it in: 1 in so many."""
    if share <= 0:
        return "none"
    return f"1 in {1 / share:.2g}" if share > 0.3 else f"1 in {1 / share:.0f}"


def _runs(answered: Sequence[Repeats]) -> str:
    """How many runs the figures are of."""
    counts = sorted({each.count for each in answered})
    if counts == [1]:
        return "one run of each"
    return f"medians of {' to '.join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))} runs"


def _who_lost(summaries: Sequence[TopologySummary], faults: Sequence[str]) -> list[str]:
    """In which of the pooled faults topologies lost requests at all, those that are alike together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for summary in summaries:
        lossy = (f for f in faults if any(window.lost for window in summary.cell(f) if window.valid))
        alike.setdefault(tuple(lossy), []).append(summary.topology)
    return [f"{_listed(names)} lost {_where(lossy, faults)}." for lossy, names in alike.items()]


def _where(lossy: Sequence[str], faults: Sequence[str]) -> str:
    spared = [fault for fault in faults if fault not in lossy]
    if not lossy:
        return "none in any of these faults"
    if not spared:
        return "requests in every one of these faults" if len(faults) > 1 else f"requests in {faults[0]}"
    if len(spared) <= len(lossy):
        return f"requests in every fault but {_listed(spared)}"
    return f"requests in {_listed(lossy)} only"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _skips(summaries: Sequence[TopologySummary]) -> list[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for summary in summaries:
        for fault, reason in summary.skipped.items():
            reasons.setdefault((fault, reason), []).append(summary.topology)
    return [
        f"Fault {fault!r} was skipped for {', '.join(names)}: {reason}; it is left out of the pooled figures."
        for (fault, reason), names in reasons.items()
    ]
