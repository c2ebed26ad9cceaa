"""Why a request failed, whatever the answer was."""

from tests.unit.locust.scripts import printed

REASONS = r"""
import requests
from swarm import error_reason
BODIES = [
    '{"reason": "saturated"}', '{"reason": "no\\n  such, \\u001b[31m thing"}',
    '<html>', '["reason"]', '{"reason": 5}', '{"reason": " "}', '[' * 100000, '',
]
for body in BODIES:
    response = requests.Response()
    response.status_code, response._content = 503, body.encode()
    print(error_reason(response), end=";")
response.headers["X-Predictor"] = "p1"
for response.status_code in (429, 503, 500, 599):
    print(error_reason(response), end=";")
response._content = b'{"reason": "loading"}'
response.status_code = 503
print(error_reason(response))
"""


def test_refusal_with_any_body_has_a_reason_of_one_line() -> None:
    """A refusal's body may be anything: its reason on one line, else busy for a full predictor's, the status phrase."""
    phrases = ["Service Unavailable"] * 6
    passed_on = ["busy", "busy", "Internal Server Error", "unexpected status", "loading"]
    assert printed(REASONS) == ";".join(["saturated", "no such, [31m thing", *phrases, *passed_on])


STOPS = r"""
from locust.runners import Runner
from swarm import stop_swarm

class Master(Runner):
    users = 0
    user_count = property(lambda self: self.users)
    def __init__(self, state, users): self.state, self.users = state, users
    def stop(self): print("stopped" if self.state in ("spawning", "running") else "nothing", end=";")

for state, users in (("running", 3), ("spawning", 0), ("stopped", 3), ("stopped", 0), ("stopping", 3)):
    stop_swarm(Some(runner=Master(state, users), web_ui=Some()), None)
    print(state, users, end=";")
"""


def test_stop_ends_a_run_that_the_run_before_has_told_as_stopped() -> None:
    """A worker's late report of its stop may come when the next run has begun: its users are what counts."""
    assert printed(STOPS) == "stopped;running 3;stopped;spawning 0;stopped;stopped 3;stopped 0;stopping 3;"
