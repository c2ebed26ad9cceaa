"""The probes: the health check of every predictor, twice a second unless said, and what several in a row mean."""

import time
from collections.abc import Callable, Mapping

import gevent
from gevent.event import Event

from routing.upstream.client import Upstream
from routing.upstream.errors import ConnectionRefused, HealthCheckLate, OutOfSockets, UpstreamError

FALL, RISE = 2, 2
"""How many failed or passed probes in a row flip the verdict."""

PROBE_WAIT_S = 0.05
"""A request whose connection ended waits at most this long for the probe that shows whether the predictor is gone."""


def probe(upstream: Upstream) -> UpstreamError | None:
    """Sends one health check; returns why it failed, None if it passed."""
    timeout_s = upstream.server.health_timeout_s
    late = HealthCheckLate(f"health check not answered within {timeout_s:g} s")
    try:
        with gevent.Timeout(timeout_s, late):
            upstream.check_health()
    except UpstreamError as error:
        return error
    return None


def probe_all(upstreams: Mapping[str, Upstream]) -> dict[str, UpstreamError]:
    """Probes all once, side by side; returns the failure of each predictor that is not up."""
    probes = {name: gevent.spawn(probe, upstream) for name, upstream in upstreams.items()}
    gevent.joinall(list(probes.values()))
    return {name: each.value for name, each in probes.items() if each.value is not None}


class HealthChecks:
    """A watcher per predictor; calls `on_pass(name)` or `on_fail(name, failure)` at every probe beyond rise or fall."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        on_pass: Callable[[str], None],
        on_fail: Callable[[str, UpstreamError], None],
        answers: Callable[[str, float], bool],
    ) -> None:
        """`answers(name, within_s)` says whether it has answered a prediction well so lately."""
        self._upstreams = upstreams
        self._on_pass = on_pass
        self._on_fail = on_fail
        self._answers = answers
        self._due = {name: Event() for name in upstreams}
        self._probed = {name: Event() for name in upstreams}
        self._watchers: list[gevent.Greenlet[[str], None]] = []

    def start(self) -> None:
        """Probes each predictor until `stop`."""
        self._watchers = [gevent.spawn(self._watch, name) for name in self._upstreams]

    def stop(self) -> None:
        """Ends all probes."""
        gevent.killall(self._watchers)

    def probe_now(self, name: str) -> None:
        """Has this predictor probed at once, and waits a moment: where it is gone, a standby is promoted by then."""
        self._due[name].set()
        self._probed[name].wait(timeout=PROBE_WAIT_S)

    def _watch(self, name: str) -> None:
        in_a_row = 0  # passes; below 0, failures
        interval_s = self._upstreams[name].server.health_interval_s
        due_s = time.monotonic() + interval_s
        while True:
            self._due[name].wait(timeout=max(0.0, due_s - time.monotonic()))
            self._due[name].clear()
            due_s = time.monotonic() + interval_s
            in_a_row = self._report(name, in_a_row, probe(self._upstreams[name]))
            probed, self._probed[name] = self._probed[name], Event()
            probed.set()

    def _report(self, name: str, in_a_row: int, failure: UpstreamError | None) -> int:
        """Adds a probe's result to those in a row; a refused connection needs no second opinion."""
        if isinstance(failure, OutOfSockets):
            return in_a_row  # it says nothing about the predictor
        in_a_row = max(in_a_row, 0) + 1 if failure is None else min(in_a_row, 0) - 1
        if failure is not None and failure.may_be_busy and self._serves(name):
            in_a_row = max(in_a_row, 1 - FALL)  # it never completes the fall
        if in_a_row >= RISE:
            self._on_pass(name)
        elif failure is not None and (in_a_row <= -FALL or isinstance(failure, ConnectionRefused)):
            self._on_fail(name, failure)
        return in_a_row

    def _serves(self, name: str) -> bool:
        """Whether it has answered a prediction well within the last two intervals, whatever its health check says."""
        return self._answers(name, 2 * self._upstreams[name].server.health_interval_s)
