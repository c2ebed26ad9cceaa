"""The tab "First failure", without a browser and without a swarm."""

import json

from tests.unit.locust.scripts import printed

RECORD = """
record = {"time_s": 25.0, "elapsed_s": 25.0, "window_s": 10.0, "requests_in_window": 56, "users": 25, "status": 503,
          "rate_at_first_failure_per_s": 5.6, "cause": "saturated", "topology": "single",
          "loads": {"predict1": {"load": 10, "capacity": 10, "status": True, "state": "serving"},
                    "predict3": {"load": 0, "capacity": 10, "status": False, "state": "wanted"}}}
"""

ROWS = f"""
from expected_range import Expected
from first_failure import TestRun, summary_line
from first_failure_tab import run_row
{RECORD}
failed = run_row(1, TestRun(0.0, failure=record, expected=Expected(reason="the cause is not saturation")))
young = record | {{"window_s": 4.0, "requests_in_window": 8, "rate_at_first_failure_per_s": 2.0}}
newborn = record | {{"window_s": 0.01, "requests_in_window": 5, "rate_at_first_failure_per_s": 1411.9}}
rates = [run_row(1, TestRun(0.0, failure=each))["rate"] for each in (young, newborn, newborn | {{"cause": "down"}})]
unasked = run_row(1, TestRun(0.0, topology="2active", failure=record | {{"topology": None}}))["topology"]
going, over = (run_row(2, TestRun(0.0, ended_s=ended_s))["cause"] for ended_s in (None, 60.0))
print(json.dumps([failed, rates, unasked, going, over, summary_line(newborn)]))
"""

RANGES = f"""
import first_failure_tab
from expected_range import Circumstances, Expected
from first_failure import TestRun
{RECORD}
asked = []
def expected(circumstances):
    asked.append(circumstances.slots)
    return Expected(reason="asked")
first_failure_tab.expected = expected
told = Circumstances(True, None, 30, "", None)
runs = [TestRun(0.0), TestRun(1.0, failure=record, circumstances=told), TestRun(2.0)]
ranges = first_failure_tab.ExpectedRanges(runs)
for _ in range(3):
    ranges.refresh(polling=False)
print(json.dumps([asked, [run.expected and run.expected.reason for run in runs]]))
"""


def test_row_shows_the_run_with_loads_and_states_beside_the_range() -> None:
    """Every predictor's state stands beside its load, and beside the rate what theory says, or why it says nothing."""
    failed, _, unasked, going, over, _ = json.loads(printed(ROWS))
    assert (failed["rate"], failed["users"], failed["cause"]) == ("5.6", 25, "503 saturated")
    assert failed["range"] == "- (the cause is not saturation)"
    assert failed["loads"] == "predict1 10/10 serving, predict3 0/10 wanted"
    assert unasked == "2active"  # the router was too busy at that moment; the page had asked before
    assert (going, over) == ("no failure so far", "no failure: the run ended after 60.0 s")


def test_rate_of_a_run_younger_than_a_second_is_not_given() -> None:
    """Five requests in no time are no rate, neither on the page nor in the log; the reason stands in its place."""
    _, rates, *_, line = json.loads(printed(ROWS))
    at_once = "- (at once: the first users were more than the slots)"
    assert rates == ["2.0 (8 in 4.0 s)", at_once, "- (at once: as the run began)"]
    assert "1411.9" not in line
    assert at_once in line


def test_theory_is_asked_once_about_each_run_that_failed() -> None:
    """A run without a failure is not asked about, and no run twice."""
    assert json.loads(printed(RANGES)) == [[30], [None, "asked", None]]
