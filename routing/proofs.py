"""Whether a predictor can predict, which its health check does not show: it is asked for a prediction."""

import time
from collections.abc import Callable, Mapping

import gevent

from routing import logs
from routing.upstream.client import Request, Upstream
from routing.upstream.errors import ProofFailed, UpstreamError
from server_file import Server


class Proofs:
    """Predictions for who is about to join, where there is a payload, and for who is suspected of a stall."""

    def __init__(self, upstreams: Mapping[str, Upstream], within_s: float) -> None:
        """An answer takes no longer than `within_s`."""
        self._upstreams = upstreams
        self._within_s = within_s
        self._failing: set[str] = set()  # those whose latest proof failed: told once
        self._under_way: dict[str, gevent.Greenlet[..., float]] = {}

    def failure(self, name: str) -> UpstreamError | None:
        """Asks for a prediction and waits; returns why its answer is not good (2xx), None if it is."""
        upstream = self._upstreams[name]
        failure = None if upstream.server.payload is None else _prove(upstream, self._within_s)
        if failure is None:
            self._failing.discard(name)
        elif name not in self._failing:
            self._failing.add(name)
            logs.warning(f"{name}: health checks pass, but not yet a prediction: {failure}")
        return failure

    def failures(self, names: list[str]) -> dict[str, UpstreamError]:
        """Asks all of these at once; returns those whose answer is not good."""
        asked = {name: gevent.spawn(self.failure, name) for name in names}
        gevent.joinall(list(asked.values()))
        return {name: each.value for name, each in asked.items() if each.value is not None}

    def is_proven(self, name: str) -> bool:
        """Whether it has just answered well. Waits for nobody: who has not is asked, and again an interval later."""
        if self._upstreams[name].server.payload is None:
            return True
        return self._is_shown(name, self.failure)

    def has_answered(self, name: str, within_s: float) -> bool:
        """Whether it has just answered a prediction, a GET where there is no payload; waits for nobody either.

        An answer takes no longer than `within_s`.
        """
        return self._is_shown(name, lambda name: _prove(self._upstreams[name], within_s))

    def _is_shown(self, name: str, ask: Callable[[str], UpstreamError | None]) -> bool:
        asked = self._under_way.get(name)
        if asked is not None and not asked.ready():
            return False
        if asked is not None and asked.value is not None and time.monotonic() < asked.value:
            return True
        self._under_way[name] = gevent.spawn(self._holds_until_s, name, ask)
        return False

    def stop(self) -> None:
        """Ends what is under way."""
        gevent.killall(list(self._under_way.values()))

    def _holds_until_s(self, name: str, ask: Callable[[str], UpstreamError | None]) -> float:
        """Asks; returns until when the answer holds: for an interval, a failure for no longer than it is waited out."""
        interval_s = self._upstreams[name].server.health_interval_s
        if ask(name) is None:
            return time.monotonic() + interval_s
        gevent.sleep(interval_s)
        return time.monotonic()


def prediction_of(server: Server) -> Request:
    """Returns the payload of the server file, or where it names none a GET."""
    if server.payload is None:
        return Request(b"", {}, "GET")
    return Request(server.payload, {"Content-Type": server.content_type})


def _prove(upstream: Upstream, within_s: float) -> UpstreamError | None:
    request = prediction_of(upstream.server)
    try:
        with gevent.Timeout(within_s, ProofFailed(f"the payload was not answered within {within_s:g} s")):
            status = upstream.send(request, fresh=True).status
    except UpstreamError as error:
        return error
    return None if 200 <= status < 300 else ProofFailed(f"the payload was answered {status}")
