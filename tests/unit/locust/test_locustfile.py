"""The swarm's rules without a swarm; each in its own process, for importing Locust patches sockets."""

from __future__ import annotations

import pytest

from tests.unit.locust.scripts import printed, run

SENDS = """
import locust
from first_failure import SendTimes
sends = SendTimes()
for second in range(1000):
    sends.note(float(second))
print(sends.count(999.0), sends.count(995.5), len(sends._times_s))
"""

EARLIER_ELSEWHERE = """
from types import SimpleNamespace as Some
import locust
import gevent, first_failure
early, late = ({"time_s": t, "status": 503, "cause": c} for t, c in ((1000.0, "down"), (1000.5, "saturated")))
asked = []
def send(kind, question):
    asked.append(question["until_s"])
    for node, failure, sends in (("a", early, 30), ("b", late, 12)):
        told = {"until_s": asked[-1], "sends": sends, "users": 7, "failure": failure}
        gevent.spawn(leader.on_sends, Some(node_id=node, data=told))
runner = Some(send_message=send, worker_count=2)
leader = first_failure.FirstFailures(Some(parsed_options=None, runner=runner))
found = leader._earliest("b", {"until_s": 1000.5, "sends": 13, "users": 7, "failure": late})
record = first_failure.first_failure_record(*found, 900.0, None, {})
keys = ("cause", "requests_in_window", "rate_at_first_failure_per_s", "users")
print(asked, *(record[key] for key in keys))
"""

SILENT_WORKER = """
from types import SimpleNamespace as Some
import locust
import first_failure
failure = {"time_s": 1000.0, "status": 503, "cause": "saturated"}
told = {"until_s": 1000.0, "sends": 13, "users": 7, "failure": failure}
runner = Some(send_message=lambda *_: None, worker_count=2)
leader = first_failure.FirstFailures(Some(parsed_options=None, runner=runner))
first_failure.WORKERS_TIMEOUT_S = 0.05
print(leader._earliest("a", told) == (failure, [told]))
"""

CAUSES = r"""
import locust
import requests
from first_failure import refusal_reason
BODIES = [
    '{"reason": "saturated"}', '{"reason": "no\\n  such, \\u001b[31m thing"}',
    '<html>', '["reason"]', '{"reason": 5}', '{"reason": " "}', '[' * 100000, '',
]
for body in BODIES:
    answer = requests.Response()
    answer.status_code, answer._content = 503, body.encode()
    print(refusal_reason(answer), end=";")
answer.status_code = 599
print(refusal_reason(answer))
"""

STATES = """
import locust
from admin_client import checked_state, loads_in, topology_name
state = checked_state({"predictors": {"predict1": {"load": 3, "port": "9696"}, "predict2": None}})
print((topology_name(state), loads_in(state)))
for state in ([], {}, {"predictors": []}, None):
    try:
        print(checked_state(state))
    except TypeError as error:
        print(error)
"""


def test_send_times_count_the_window_and_forget_what_is_older() -> None:
    """The window is the 10 s up to the failure; memory stays bounded."""
    assert printed(SENDS) == "10 10 61"


def test_earliest_failure_of_another_worker_wins_with_its_own_window() -> None:
    """A failure that another worker saw earlier is the first, and the sends are asked for its window."""
    assert printed(EARLIER_ELSEWHERE) == "[1000.5, 1000.0] down 42 4.2 14"


def test_worker_that_stays_silent_does_not_hold_up_the_note() -> None:
    """The failing worker's own report is enough when the others do not answer in time."""
    assert printed(SILENT_WORKER) == "True"


def test_refusal_with_any_body_has_a_reason_of_one_line() -> None:
    """A refusal's body may be anything: its reason on one line, else the status phrase."""
    phrases = ["Service Unavailable"] * 6
    reasons = ["saturated", "no such, [31m thing", *phrases, "unexpected status"]
    assert printed(CAUSES) == ";".join(reasons)


def test_topology_of_an_unexpected_shape_is_refused_or_read_as_far_as_it_goes() -> None:
    """An admin answer without a table of predictors is no topology; a missing figure is None."""
    loads = {"predict1": {"load": 3, "peak_load": None, "capacity": None, "status": None}}
    assert printed(STATES).splitlines() == [str((None, loads)), *["not a topology"] * 4]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--admin", "localhost"], "--admin: 'localhost' is not an address such as http://127.0.0.1:8001"),
        (["--admin", "http://localhost:port"], "--admin: 'http://localhost:port' is not an address"),
        (["--records", "no/such/place.csv"], "--records: 'no/such/place.csv': no directory 'no/such'"),
        (["--payload", "no/such.json"], "--payload: 'no/such.json': no such file: name a JSON file"),
        (["--first-failure", "tests"], "--first-failure: 'tests': not a regular file: name a file"),
        (["--records", "n" * 300], "nnn': File name too long: choose another place"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_status_2(options: list[str], names: str) -> None:
    """A user's mistake is named before the swarm starts."""
    done = run("-m", "locust", "-f", "locust/locustfile.py", "--headless", "-t", "1s", *options)
    assert done.returncode == 2
    assert names in done.stderr
    assert len((done.stderr + done.stdout).splitlines()) == 1
