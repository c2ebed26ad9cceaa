"""What is counted: requests sent in a window, and the router's counts of one run."""

import json

from tests.unit.locust.scripts import printed

SENDS = """
from first_failure import SendCounter
sends = SendCounter()
for second in range(1000):
    sends.add(float(second))
print(sends.count(999.0), sends.count(995.5), len(sends._times_s))
"""

RUN_COUNTERS = """
from topology_tab import RunCounters
def state(since, **served):
    return {"since": since, "predictors": {name: {"served": count} for name, count in served.items()}}
def values(counters, *states):
    return [counters.value(one, "a", "served") for one in states]
states = state(50.0, a=9), state(150.0, a=3), state(50.0, a="9"), {"predictors": {"a": {"served": 4}}}
known, unknown = RunCounters(100.0), RunCounters(100.0)
known.set_baseline(state(50.0, a=7))
print(json.dumps([values(known, *states), values(unknown, *states)]))
"""


def test_sends_are_counted_in_the_window_and_older_ones_dropped() -> None:
    """The window is the 10 s up to the failure; memory stays bounded."""
    assert printed(SENDS) == "10 10 61"


def test_counts_of_a_run_leave_out_what_came_before_it() -> None:
    """What the router had counted at the start is taken off, unless its topology came in since and began at 0."""
    known, unknown = json.loads(printed(RUN_COUNTERS))
    assert known == [2, 3, "9", 4]
    assert unknown == ["unknown", 3, "9", "unknown"]  # the router did not answer when the run started
