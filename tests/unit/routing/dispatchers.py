"""A dispatcher over predictors that fail: fakes answer as each test says, no network. Real greenlets."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from routing.balancer import Balancer
from routing.counters import Counters
from routing.dispatcher import Dispatcher
from routing.refusals import RefusedError
from routing.topology import Entry, Role, Topology
from routing.upstream.client import Request
from routing.upstream.errors import ConnectionClosed, ConnectionRefused, NoConnection, UnusableResponse
from routing.upstream.response import Response

REQUEST = Request(b"{}", {"Content-Type": "application/json"})
MAX_ERRORS = 3
PATIENCE_S = 20.0
WAIT = 0
"""A step: answer 200 when the bench's event `go` comes."""

Step = int | Callable[[], int]


class FakeUpstream:
    """Answers with its steps in turn, the last one for ever: a status, or a call that gives one or raises."""

    def __init__(self, name: str, steps: list[Step], go: Event) -> None:
        self.name = name
        self.fresh: list[bool] = []
        self.ended = 0
        self._steps, self._go = steps, go

    def send(self, request: Request, fresh: bool = False) -> Response:
        """Does the next step."""
        assert request is REQUEST
        self.fresh.append(fresh)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        try:
            if step == WAIT:
                assert self._go.wait(timeout=PATIENCE_S)
                step = 200
            return Response(step if isinstance(step, int) else step(), {}, b"[]", self.name)
        finally:
            self.ended += 1


class Bench:
    """A dispatcher over fakes a, b, c, ..., one for each step or list of steps."""

    def __init__(self, *upstreams: Step | list[Step], capacity: int = 2, **options: Any) -> None:
        self.go = Event()
        self.upstreams = {
            name: FakeUpstream(name, steps if isinstance(steps, list) else [steps], self.go)
            for name, steps in zip("abcd", upstreams, strict=False)
        }
        entries = tuple(
            Entry(name, "h", number, capacity, Role.ACTIVE) for number, name in enumerate(self.upstreams, 1)
        )
        topology = Topology("test", Path("test.json"), entries, {}, "{}")
        self.balancer = Balancer(topology, time.monotonic(), max_errors=MAX_ERRORS)
        self.suspects: list[str] = []
        self.changes = 0
        made: Any = self.upstreams
        self.counters = Counters()
        options = {"deadline_s": PATIENCE_S, "counters": self.counters, **options}
        self.dispatcher = Dispatcher(self.balancer, made, self._changed, self.suspects.append, **options)

    def _changed(self) -> None:
        self.changes += 1

    def send(self) -> Response:
        """Sends one request and waits for its answer."""
        return self.dispatcher.send(REQUEST)

    def outcome(self) -> str:
        """Sends one request; returns the answer's status and who gave it, or the reason for the refusal."""
        try:
            response = self.send()
        except RefusedError as refused:
            return refused.reason
        return f"{response.status} {response.predictor}"

    def start(self) -> "gevent.Greenlet[[], Any]":
        """Sends one request and lets it get as far as it can; its value is a Response or the error."""
        sending = gevent.spawn(self._response_or_error)
        gevent.sleep(0.005)
        return sending

    def _response_or_error(self) -> Response | Exception:
        try:
            return self.send()
        except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
            return error

    def asked(self) -> str:
        """Who was sent how many requests, as letters."""
        return "".join(name * len(upstream.fresh) for name, upstream in self.upstreams.items())

    def loads(self) -> list[int]:
        """Every predictor's load."""
        return [predictor.load for predictor in self.balancer.predictors.values()]

    def counts(self) -> str:
        """Three digits for every predictor: served, failed, and failures in a row for which it is blamed."""
        return " ".join(f"{p.served}{p.failed}{p.errors}" for p in self.balancer.predictors.values())

    def up(self) -> str:
        """Who is in rotation."""
        return "".join(name for name, predictor in self.balancer.predictors.items() if predictor.in_rotation)

    def eject(self, name: str) -> None:
        """Does what the health checks do with a predictor that hangs."""
        self.balancer.eject(name, time.monotonic(), "no answer")
        self.dispatcher.redispatch_from(name)


MakeBench = Callable[..., Bench]


def hang() -> int:
    """Never answer, as far as a test can tell."""
    gevent.sleep(PATIENCE_S)
    return 200


def refused() -> int:
    """Nothing listens."""
    raise ConnectionRefused("connection refused")


def no_connection() -> int:
    """No connection in time."""
    raise NoConnection("no connection")


def reset() -> int:
    """The connection ended without an answer."""
    raise ConnectionClosed("connection ended without an answer")


def unusable() -> int:
    """Something came that is no answer."""
    raise UnusableResponse("the answer was cut short")
