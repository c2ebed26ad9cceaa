"""The benchmarks' arithmetic: rates, ranges, ratios, targets, the fullest second. Nothing is measured here."""

from pathlib import Path

from benchmarks.contenders import DIRECT, ENGINE, FLASK, NAIVE, ROUTER
from benchmarks.figures import Measurements, Range, range_of, targets
from benchmarks.own_targets import WriteMonitor
from benchmarks.records import Measurement


def measurement(
    contender: str, rate: float, repeat: int = 1, connections: int = 8, p50_ms: float = 1.0, method: str = "POST"
) -> Measurement:
    """A burst of one second without failures."""
    return Measurement(contender, method, connections, repeat, 1.0, int(rate), 0, p50_ms, 2 * p50_ms, 0.5, 30.0)


def test_rate_counts_good_answers_only() -> None:
    """Throughput is answers with success per second, not requests sent."""
    assert Measurement("x", "POST", 1, 1, 2.0, 100, 20, 1, 1, 1, 1).rate_per_s == 40.0


def test_range_has_its_ends_in_its_text_only_where_they_differ() -> None:
    """One repeat has no range."""
    assert range_of([3000.0, 1000.0, 2000.0]).text(",.0f") == "2,000 (1,000 to 3,000)"
    assert range_of([0.5]).text(".2f") == "0.50"


def test_ratio_is_taken_within_each_repeat() -> None:
    """A machine that is slow for one repeat is slow for both: the ratio does not see it."""
    rates = ((ROUTER, 2000, 1), (NAIVE, 500, 1), (ROUTER, 1000, 2), (NAIVE, 250, 2), (ROUTER, 999, 3))
    measured = Measurements([measurement(*rate) for rate in rates])
    assert measured.ratio(ROUTER, NAIVE, 8) == Range(4.0, 4.0, 4.0)
    assert measured.ratio(ROUTER, FLASK, 8) is None


def test_targets_are_judged_by_the_median() -> None:
    """Reached and missed differ, and a contender that was not measured is no target."""
    at_8 = [measurement(ROUTER, 2000), measurement(NAIVE, 600), measurement(FLASK, 3000)]
    at_1 = [measurement(name, 900, connections=1, p50_ms=p50_ms) for name, p50_ms in ((ROUTER, 1.4), (DIRECT, 0.5))]
    get = [measurement(ENGINE, 1000), measurement(ENGINE, 800, method="GET")]
    found = targets(Measurements(at_8 + at_1 + get))
    reached = [("3.3", False), ("0.67", False), ("0.90", True), ("0.80", False), ("1.25", True)]
    assert [(one.figure, one.reached) for one in found] == reached


def test_writes_per_second_are_those_of_the_fullest_window() -> None:
    """The limit holds in any second, not on average."""
    monitor = WriteMonitor(Path(__file__))
    monitor.times_s = [0.0, 0.9, 1.5, 1.6, 1.7, 5.0]
    assert monitor.max_per_s() == 4
