"""The first failure, without a swarm; each script in its own process, for importing Locust patches sockets."""

from tests.unit.locust.scripts import printed

EARLIER_ELSEWHERE = """
import gevent, first_failure
early, late = ({"time_s": t, "status": 503, "cause": c} for t, c in ((1000.0, "down"), (1000.5, "saturated")))
asked = []
def send(kind, question):
    asked.append(question["until_s"])
    for node, failure, sends in (("a", early, 30), ("b", late, 12)):
        report = {"until_s": asked[-1], "sends": sends, "users": 7, "failure": failure}
        gevent.spawn(leader.receive_sends, Some(node_id=node, data=report))
runner = Some(send_message=send, worker_count=2)
leader = first_failure.FirstFailures(Some(parsed_options=None, runner=runner))
found = leader._earliest("b", {"until_s": 1000.5, "sends": 13, "users": 7, "failure": late})
record = first_failure.first_failure_record(*found, 900.0, None, {})
keys = ("cause", "requests_in_window", "rate_at_first_failure_per_s", "users")
print(asked, *(record[key] for key in keys))
"""

SILENT_WORKER = """
import first_failure
failure = {"time_s": 1000.0, "status": 503, "cause": "saturated"}
report = {"until_s": 1000.0, "sends": 13, "users": 7, "failure": failure}
runner = Some(send_message=lambda *_: None, worker_count=2)
leader = first_failure.FirstFailures(Some(parsed_options=None, runner=runner))
first_failure.WORKERS_TIMEOUT_S = 0.05
print(leader._earliest("a", report) == (failure, [report]))
"""

SENDS = """
from first_failure import SendCounter
sends = SendCounter()
for second in range(1000):
    sends.add(float(second))
print(sends.count(999.0), sends.count(995.5), len(sends._times_s))
"""

STOPS = """
import gevent, first_failure
stopped = []
first_failure.stop_swarm = lambda environment, ramp_up: stopped.append(environment)
environment = Some(parsed_options=None, runner=None)
leader = first_failure.FirstFailures(environment)
runs = leader.runs
runs += [first_failure.TestRun(1.0), first_failure.TestRun(2.0)]
leader._stop(runs[0])
runs[1].ended_s = 3.0
leader._stop(runs[1])
print(len(stopped), end=" ")
runs[1].ended_s = None
leader._stop(runs[1])
print(len(stopped))
"""

LATE_STOP = """
import first_failure
from locust.env import Environment
from swarm import connect
environment = Environment()
leader = first_failure.FirstFailures(environment)
connect(environment, leader)
for event in ("test_start", "test_stopping", "test_start", "test_stop"):
    getattr(environment.events, event).fire(environment=environment)
print([run.ended_s is None for run in leader.runs])
"""


def test_late_word_of_a_stop_ends_no_run_that_has_begun_since() -> None:
    """A master tells that a run has stopped when it next looks; pressing START before that is no end of the new run."""
    assert printed(LATE_STOP) == "[False, True]"


def test_stop_that_was_due_ends_no_other_run() -> None:
    """Who pressed STOP before the run's time was over, and START again, is not stopped by the first run's time."""
    assert printed(STOPS) == "0 1"


def test_earliest_failure_of_another_worker_wins_with_its_own_window() -> None:
    """A failure that another worker saw earlier is the first, and the sends are asked for its window."""
    assert printed(EARLIER_ELSEWHERE) == "[1000.5, 1000.0] down 42 4.2 14"


def test_worker_that_stays_silent_does_not_hold_up_the_record() -> None:
    """The failing worker's own report is enough when the others do not answer in time."""
    assert printed(SILENT_WORKER) == "True"


def test_sends_are_counted_in_the_window_and_older_ones_dropped() -> None:
    """The window is the 10 s up to the failure; memory stays bounded."""
    assert printed(SENDS) == "10 10 61"
