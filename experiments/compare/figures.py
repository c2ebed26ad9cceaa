"""Figures of one run, computed from its records alone, each with its definition in one sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.compare.records import YOUNGEST_S, FirstFailure, RunRecords, SwarmRequest
from experiments.results.records import LoadSample
from experiments.results.statistics import percentile, rounded
from experiments.theory.first_failure import Spread
from experiments.theory.simulation import WINDOW_S

DEFINITIONS = {
    "rate_at_first_failure_per_s": (
        "requests sent in the 10 s before the first failed request, divided by that window (by the run's age where "
        "it is younger; none within its first second), in requests per second"
    ),
    "recount_per_s": "the same rate counted again from requests.csv, as a check of the records on each other",
    "refused_share_if_held": (
        "the share of requests that would be refused if they went on coming at the rate at first failure, by Erlang's "
        "B formula at the topology's slots and the measured latency; the rate at first failure depends on how fast "
        "users come and is no rate to run at"
    ),
    "rate_at_budget_per_s": (
        "the rate at which 0.1 % of requests are refused, by the same formula, in requests per second: one to plan "
        "with, unless the topology failed at a lower one"
    ),
    "time_s": "seconds from the swarm's start to the first failed request",
    "users": "simulated users at the first failed request",
    "cause": "why the first failed request failed: the router's reason, or the transport error",
    "load": "requests in flight at a predictor, as the router counts them, asked for right after the first failure",
    "peak_load": "the highest load of a predictor from the router's start to the first failure",
    "requests": "requests finished in the whole run, those in flight at its end included",
    "failed_requests": "requests among them that failed",
    "median_latency_s": (
        "median time from sending a request to its good answer, in seconds; as these users met it, who each wait for "
        "their answer before they send again (a closed loop: a slow router is asked less often)"
    ),
    "p99_latency_s": "the time within which 99 % of the good answers came, in seconds, of the same users",
    "promotions": "times the router let a standby take requests",
    "ejections": "times the router took a predictor for down, though nobody stopped it: a sign of a machine too busy",
    "offered_rate_per_s": "requests sent in one second",
    "trailing_rate_per_s": "requests sent in the last 10 s, divided by 10 (by the run's age where it is younger)",
}
"""Figure -> what it is. Units are in the names; figures without one are counts."""

LABELS = {
    "rate_at_first_failure_per_s": "RPS at first failure",
    "recount_per_s": "Recount",
    "refused_share_if_held": "Refused if held",
    "rate_at_budget_per_s": "RPS at 0.1 % refused",
    "time_s": "Time, s",
    "users": "Users",
    "cause": "Cause",
    "load": "Load",
    "peak_load": "Peak",
    "requests": "Requests",
    "failed_requests": "Failed",
    "median_latency_s": "Latency, s",
    "p99_latency_s": "99 %, s",
    "promotions": "Promoted",
    "ejections": "Ejected",
    "offered_rate_per_s": "Sent in each second",
    "trailing_rate_per_s": "Sent, over the last 10 s",
}
"""Figure -> what the page's tables and charts call it."""


@dataclass(frozen=True)
class LoadFigures:
    """One predictor at the first failure."""

    load: int
    peak_load: int
    capacity: int
    """The predictor's capacity."""
    status: bool
    """Whether it was in rotation."""


@dataclass(frozen=True)
class FailureFigures:
    """The figures of a run's first failure; DEFINITIONS says what each is."""

    rate_at_first_failure_per_s: float
    recount_per_s: float
    time_s: float
    users: int
    cause: str
    loads: dict[str, LoadFigures]
    """Predictor -> its figures at that moment."""

    @property
    def is_at_once(self) -> bool:
        """Whether it came too early for its rate to be one."""
        return self.time_s < YOUNGEST_S


@dataclass(frozen=True)
class RunFigures:
    """The figures of one run; DEFINITIONS says what each is."""

    repeat: int
    """The run's number among those of its topology, from 1."""
    outcome: str
    """How it ended: first_failure, or no_failure within the run time."""
    first_failure: FailureFigures | None
    """The figures of the run's first failure; null when nothing failed."""
    requests: int
    failed_requests: int
    median_latency_s: float | None
    p99_latency_s: float | None
    promotions: int
    ejections: int
    inside_theory: bool | None
    """Whether its rate lies in theory's range of 90 %; null where one of them is missing, or it failed at once."""


def run_figures(records: RunRecords, theory: Spread | None = None) -> RunFigures:
    """Computes one run's figures; `theory` is what it expects of the rate at first failure."""
    failure = failure_figures(records.first_failure, records.requests) if records.first_failure else None
    good = [request.latency_s for request in records.requests if not request.failed]
    rate_per_s = None if failure is None or failure.is_at_once else failure.rate_at_first_failure_per_s
    return RunFigures(
        repeat=records.run.repeat,
        outcome=records.run.outcome,
        first_failure=failure,
        requests=len(records.requests),
        failed_requests=len(records.requests) - len(good),
        median_latency_s=rounded(percentile(good, 50), 4),
        p99_latency_s=rounded(percentile(good, 99), 4),
        promotions=sum(event.event == "promoted" for event in records.events),
        ejections=sum(event.event in ("ejected", "failed") for event in records.events),
        inside_theory=theory.contains(rate_per_s) if theory and rate_per_s is not None else None,
    )


def failure_figures(failure: FirstFailure, requests: Iterable[SwarmRequest]) -> FailureFigures:
    """Computes the figures of a first failure."""
    return FailureFigures(
        rate_at_first_failure_per_s=round(failure.rate_at_first_failure_per_s, 3),
        recount_per_s=round(recount_per_s(failure, requests), 3),
        time_s=round(failure.elapsed_s, 3),
        users=failure.users,
        cause=failure.cause,
        loads={
            name: LoadFigures(fields["load"], fields["peak_load"], fields["capacity"], fields["status"])
            for name, fields in failure.loads.items()
        },
    )


def recount_per_s(failure: FirstFailure, requests: Iterable[SwarmRequest]) -> float:
    """The rate at first failure, counted from the requests' own records."""
    window_from_s = failure.time_s - failure.window_s
    return sum(window_from_s < request.sent_at_s <= failure.time_s for request in requests) / failure.window_s


def start_s(records: RunRecords) -> float:
    """The swarm's start in epoch seconds: by the first failure's record, else the first request."""
    if records.first_failure is not None:
        return records.first_failure.time_s - records.first_failure.elapsed_s
    return records.requests[0].sent_at_s if records.requests else records.run.started_at_s


def per_second(times_s: Iterable[float], origin_s: float) -> list[int]:
    """How many of the times fall into each whole second after `origin_s`; earlier ones count into the first."""
    counts = Counter(max(0, int(time_s - origin_s)) for time_s in times_s)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def trailing_rates_per_s(
    times_s: Sequence[float], origin_s: float, ends_s: Iterable[float]
) -> list[tuple[float, float]]:
    """At each moment (seconds after `origin_s`), the requests sent in the last WINDOW_S by that window's length."""
    rates = []
    for end_s in ends_s:
        window_s = min(WINDOW_S, end_s)
        sent = sum(end_s - window_s < time_s - origin_s <= end_s for time_s in times_s)
        rates.append((end_s, sent / window_s))
    return rates


def loads_over_time(
    samples: Iterable[LoadSample], origin_s: float
) -> tuple[list[float], dict[str, list[int]], list[int]]:
    """Seconds after `origin_s`, each predictor's load, and the slots in rotation, at every sample."""
    moments: dict[float, dict[str, LoadSample]] = {}
    for sample in samples:
        moments.setdefault(sample.time_s, {})[sample.predictor] = sample
    predictors = list(dict.fromkeys(name for moment in moments.values() for name in moment))
    loads = {name: [at[name].load if name in at else 0 for at in moments.values()] for name in predictors}
    slots = [sum(sample.capacity for sample in at.values() if sample.status) for at in moments.values()]
    return [time_s - origin_s for time_s in moments], loads, slots


def samples_at_failure(records: RunRecords) -> list[LoadSample]:
    """The loads in the first failure's record as samples: the regular ones are too seldom to fall on that moment."""
    failure = records.first_failure
    if failure is None:
        return []
    return [
        LoadSample(failure.time_s, name, at["status"], at["load"], at["capacity"], "", 0, 0)
        for name, at in failure.loads.items()
    ]
