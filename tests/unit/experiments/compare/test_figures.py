"""Figures from hand-written records."""

from pathlib import Path

import pytest

from experiments.compare import figures as metrics
from experiments.compare.records import CompareRun, FirstFailure, RunRecords, SwarmRequest
from experiments.results import statistics
from experiments.results.records import Event, LoadSample
from experiments.results.statistics import RunStats


def request(sent_at_s: float, latency_s: float = 1.0, reason: str = "") -> SwarmRequest:
    """One request; a reason makes it a failed one."""
    status = 503 if reason else 200
    return SwarmRequest(
        sent_at_s=sent_at_s, latency_s=latency_s, method="GET", status=status, reason=reason, predictor="", users=5
    )


def run(
    requests: list[SwarmRequest], failure: FirstFailure | None = None, loads: list[LoadSample] | None = None
) -> RunRecords:
    """A finished run of these records."""
    outcome = "first_failure" if failure else "no_failure"
    return RunRecords(Path(), CompareRun("single", 2, outcome, 90.0, 130.0), requests, failure, loads or [], [])


FAILURE = FirstFailure(
    time_s=120.0, elapsed_s=20.0, users=9, rate_at_first_failure_per_s=0.4, window_s=10.0, requests_in_window=4,
    cause="saturated", status=503, topology="single",
    loads={"predict1": {"load": 9, "peak_load": 10, "capacity": 10, "status": True}},
)  # fmt: skip


def test_run_figures_of_a_failed_run_are_its_records_figures() -> None:
    """Rate, time, users, cause and loads are the record's; latency counts good answers only."""
    requests = [request(101, 1.0), request(112, 2.0), request(119, 3.0), request(119.99, 0.01, "saturated")]
    figures = metrics.run_figures(run(requests, FAILURE))
    assert figures.first_failure is not None
    assert (figures.first_failure.rate_at_first_failure_per_s, figures.first_failure.time_s) == (0.4, 20.0)
    assert (figures.first_failure.users, figures.first_failure.cause) == (9, "saturated")
    assert figures.first_failure.loads["predict1"] == metrics.LoadFigures(9, 10, 10, True)
    assert (figures.requests, figures.failed_requests) == (4, 1)
    assert (figures.median_latency_s, figures.p99_latency_s) == (2.0, 3.0)


def test_recount_counts_what_was_sent_in_the_window() -> None:
    """Requests sent before the window or after the failure do not count; the failed one does."""
    requests = [request(109.9), request(110.1), request(119), request(119.9, 0.1, "saturated"), request(120.1)]
    assert metrics.recount_per_s(FAILURE, requests) == pytest.approx(0.3)


def test_run_figures_without_failure_have_none() -> None:
    """No failure within the run time is an outcome of its own, not a rate of 0."""
    figures = metrics.run_figures(run([request(100)]))
    assert figures.first_failure is None
    assert figures.outcome == "no_failure"


def test_run_figures_of_a_run_without_answers_have_no_latency() -> None:
    """A median of nothing is missing, not 0."""
    assert metrics.run_figures(run([])).median_latency_s is None


def test_run_figures_count_promotions_only() -> None:
    """Other events of the router are no promotions."""
    events = [Event(1.0, "promoted", "predict3", ""), Event(2.0, "demoted", "predict3", "")]
    records = run([request(100)])
    figures = metrics.run_figures(RunRecords(records.folder, records.run, records.requests, None, [], events))
    assert figures.promotions == 1


def test_per_second_counts_into_whole_seconds() -> None:
    """Second k holds what lies from k up to, not including, k + 1."""
    assert metrics.per_second([10.0, 10.9, 11.0, 13.5], 10.0) == [2, 1, 0, 1]
    assert metrics.per_second([], 10.0) == []


def test_trailing_rate_of_a_young_run_uses_its_age() -> None:
    """Before 10 s have passed the window is what there is."""
    sent = [100.5, 101.5, 102.0, 103.0]
    assert metrics.trailing_rates_per_s(sent, 100.0, [2.0, 20.0]) == [(2.0, 1.5), (20.0, 0.0)]


def test_trailing_rate_at_the_failure_is_the_rate_at_first_failure() -> None:
    """The chart's line ends at the figure of the table."""
    requests = [request(100 + second) for second in range(20)]
    [(_, rate)] = metrics.trailing_rates_per_s([r.sent_at_s for r in requests], 100.0, [20.0])
    assert rate == pytest.approx(metrics.recount_per_s(FAILURE, requests))


def test_loads_over_time_add_up_what_is_in_rotation() -> None:
    """A standby's slots count from its promotion on."""

    def sample(time_s: float, name: str, load: int, status: bool) -> LoadSample:
        return LoadSample(time_s, name, status, load, 10, "", 0, 0)

    samples = [
        sample(100.2, "predict1", 9, True), sample(100.2, "predict3", 0, False),
        sample(100.4, "predict1", 10, True), sample(100.4, "predict3", 1, True),
    ]  # fmt: skip
    times_s, loads, slots = metrics.loads_over_time(samples, 100.0)
    assert times_s == pytest.approx([0.2, 0.4])
    assert loads == {"predict1": [9, 10], "predict3": [0, 1]}
    assert slots == [10, 20]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([5.0], RunStats(5.0, 5.0, 5.0, 1)),
        ([5.0, 7.0], RunStats(6.0, 5.0, 7.0, 2)),
        ([9.0, 5.0, 6.0], RunStats(6.0, 5.0, 9.0, 3)),
        ([0.9996, 0.9991, 1.0], RunStats(0.9996, 0.9991, 1.0, 3)),
        ([], None),
    ],
)
def test_over_repeats_gives_median_and_range(values: list[float], wanted: RunStats | None) -> None:
    """The median of the repeats and their range, not rounded to nothing lost; nothing where nothing was measured."""
    assert statistics.aggregate(values) == wanted


@pytest.mark.parametrize(("percent", "wanted"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_percentile_is_the_nearest_rank(percent: float, wanted: int) -> None:
    """The smallest value that so many percent do not exceed."""
    assert statistics.percentile(list(range(100, 0, -1)), percent) == wanted


def test_start_without_failure_is_the_first_request() -> None:
    """A run without a first failure starts with its first request."""
    assert metrics.start_s(run([request(103.0), request(104.0)])) == 103.0
    assert metrics.start_s(run([request(103.0)], FAILURE)) == 100.0
