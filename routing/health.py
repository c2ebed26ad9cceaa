"""The probes: GET /health of every predictor, twice a second, and what a row of them says."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import gevent
from gevent.event import Event

from routing.upstream.client import ConnectionRefused, ForwardingError, NoDescriptor, Upstream

VERDICT_S = 0.05
"""A request whose connection ended waits at most this long for the probe that tells whether the predictor is gone."""


@dataclass(frozen=True)
class Probing:
    """How often and how long, in seconds, and how many in a row flip the verdict."""

    interval_s: float = 0.5
    timeout_s: float = 0.5
    fall: int = 2
    rise: int = 2


@dataclass
class Streak:
    """The latest probes' results in a row; at most one of the two is above 0."""

    passes: int = 0
    failures: int = 0

    def add(self, passed: bool) -> None:
        """Count one more result."""
        self.passes = self.passes + 1 if passed else 0
        self.failures = 0 if passed else self.failures + 1


class HealthChecks:
    """One watcher per predictor; tells `well(name)` and `ill(name, reason)` at every probe beyond rise or fall."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        well: Callable[[str], None],
        ill: Callable[[str, str], None],
        probing: Probing | None = None,
    ) -> None:
        self._upstreams = upstreams
        self._well = well
        self._ill = ill
        self._probing = probing or Probing()
        self._hurry = {name: Event() for name in upstreams}
        self._probed = {name: Event() for name in upstreams}
        self._watchers: list[gevent.Greenlet[[str], None]] = []

    def first_round(self) -> dict[str, str]:
        """Probe all once, side by side; return the reason for each predictor that is not up."""
        probes = {name: gevent.spawn(self._probe, name) for name in self._upstreams}
        gevent.joinall(list(probes.values()))
        return {name: str(probe.value) for name, probe in probes.items() if probe.value is not None}

    def start(self) -> None:
        """Probe each predictor until `stop`."""
        self._watchers = [gevent.spawn(self._watch, name) for name in self._upstreams]

    def stop(self) -> None:
        """End all probes."""
        gevent.killall(self._watchers)

    def hurry(self, name: str) -> None:
        """Probe this predictor now, as a request has met something odd; wait a moment for what that says.

        Where it is gone, the standby is promoted before the request chooses again.
        """
        self._hurry[name].set()
        self._probed[name].wait(timeout=VERDICT_S)

    def _watch(self, name: str) -> None:
        streak = Streak()
        due_s = time.monotonic() + self._probing.interval_s
        while True:
            self._hurry[name].wait(timeout=max(0.0, due_s - time.monotonic()))
            self._hurry[name].clear()
            due_s = time.monotonic() + self._probing.interval_s
            self._report(name, streak, self._probe(name))
            probed, self._probed[name] = self._probed[name], Event()
            probed.set()

    def _report(self, name: str, streak: Streak, failure: ForwardingError | None) -> None:
        """Add a probe's result; a refused connection needs no second opinion."""
        if isinstance(failure, NoDescriptor):
            return  # it says nothing about the predictor
        streak.add(passed=failure is None)
        if failure is None:
            if streak.passes >= self._probing.rise:
                self._well(name)
        elif streak.failures >= self._probing.fall or isinstance(failure, ConnectionRefused):
            self._ill(name, str(failure))

    def _probe(self, name: str) -> ForwardingError | None:
        timeout_s = self._probing.timeout_s
        try:
            with gevent.Timeout(timeout_s, ForwardingError(f"health check not answered within {timeout_s:g} s")):
                self._upstreams[name].check_health()
        except ForwardingError as error:
            return error
        return None
