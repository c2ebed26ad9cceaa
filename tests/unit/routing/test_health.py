"""The health checks' verdicts: failures in a row, and those that a predictor may have for want of time."""

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from routing.health import HealthChecks
from routing.upstream.errors import ConnectionRefused, HealthCheckFailed, HealthCheckLate, UpstreamError
from server_file import Server
from tests.harness.waiting import wait_until

INTERVAL_S = 0.01

Steps = list[UpstreamError | None]


class FakeUpstream:
    """Fails its health checks with these in turn, the last one for ever; None passes."""

    def __init__(self, steps: Steps) -> None:
        self.server = Server(health_interval_s=INTERVAL_S)
        self.steps = steps

    def check_health(self) -> None:
        """Does the next step."""
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if step is not None:
            raise step


class Watch:
    """Health checks of one predictor that has answered well lately, or not."""

    def __init__(self, steps: Steps, serves: bool) -> None:
        self.upstream = FakeUpstream(steps)
        self.serves = serves
        self.failed: list[UpstreamError] = []
        upstreams: Any = {"a": self.upstream}
        self.checks = HealthChecks(
            upstreams, lambda _: None, lambda _, failure: self.failed.append(failure), self._answers
        )
        self.checks.start()

    def _answers(self, name: str, within_s: float) -> bool:
        assert (name, within_s) == ("a", 2 * INTERVAL_S)
        return self.serves


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    """Starts health checks, which end with the test."""
    started: list[Watch] = []

    def start(steps: Steps, serves: bool = False) -> Watch:
        started.append(Watch(steps, serves))
        return started[-1]

    yield start
    for each in started:
        each.checks.stop()


def until_steps_are_done(watched: Watch, more: int = 10) -> None:
    """Lets the checks come to their last step, and some more."""
    wait_until(lambda: gevent.sleep(INTERVAL_S) or len(watched.upstream.steps) == 1)
    gevent.sleep(more * INTERVAL_S)


@pytest.mark.parametrize("failure", [HealthCheckLate("late"), HealthCheckFailed(429), HealthCheckFailed(503)])
def test_busy_predictors_failed_check_is_no_verdict_while_it_serves(
    watch: Callable[..., Watch], failure: UpstreamError
) -> None:
    """Late, 429 or 503: it has no time, and shows by its predictions that it is well; without these it is out."""
    watched = watch([failure], serves=True)
    until_steps_are_done(watched)
    assert watched.failed == []
    watched.serves = False
    wait_until(lambda: gevent.sleep(INTERVAL_S) or watched.failed)


@pytest.mark.parametrize("failure", [HealthCheckFailed(500), HealthCheckFailed(404), UpstreamError("no HTTP")])
def test_other_failures_are_a_verdict_whatever_it_serves(watch: Callable[..., Watch], failure: UpstreamError) -> None:
    """It says itself that it does not work."""
    watched = watch([failure], serves=True)
    wait_until(lambda: gevent.sleep(INTERVAL_S) or watched.failed)


def test_refused_connection_is_final_whatever_it_serves(watch: Callable[..., Watch]) -> None:
    """At the first check: nothing listens there."""
    watched = watch([ConnectionRefused("connection refused"), None], serves=True)
    until_steps_are_done(watched)
    assert len(watched.failed) == 1
