"""A dispatcher over predictors that fail: fakes answer as each test says, no network. Real greenlets."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from routing.balancer import Balancer
from routing.dispatcher import Dispatcher
from routing.topology import Entry, Role, Topology
from routing.upstream.client import Request
from routing.upstream.errors import (
    ConnectionClosed,
    ConnectionRefused,
    UnusableResponse,
    UpstreamError,
)
from routing.upstream.response import Response

REQUEST = Request(b"{}", {"Content-Type": "application/json"})
MAX_ERRORS = 3
PATIENCE_S = 20.0
Step = int | UpstreamError | Callable[[], int]


class FakeUpstream:
    """Answers with its steps in turn, the last one for ever: a status, an error to raise, or a call that waits."""

    def __init__(self, name: str, steps: list[Step]) -> None:
        self.name = name
        self.fresh: list[bool] = []
        self.ended = 0
        self._steps = steps

    def send(self, request: Request, fresh: bool = False) -> Response:
        """Take the next step."""
        assert request is REQUEST
        self.fresh.append(fresh)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        try:
            if isinstance(step, UpstreamError):
                raise step
            return Response(step if isinstance(step, int) else step(), {}, b"[]", self.name)
        finally:
            self.ended += 1


class Bench:
    """A dispatcher over fakes, one per letter."""

    def __init__(self, upstreams: dict[str, list[Step]], capacity: int = 2, **options: Any) -> None:
        entries = tuple(Entry(name, "h", number, capacity, Role.ACTIVE) for number, name in enumerate(upstreams, 1))
        topology = Topology("test", Path("test.json"), entries, {}, "{}")
        self.balancer = Balancer(topology, time.monotonic(), max_errors=MAX_ERRORS)
        self.upstreams = {name: FakeUpstream(name, steps) for name, steps in upstreams.items()}
        self.suspects: list[str] = []
        self.changes = 0
        made: Any = self.upstreams
        options = {"deadline_s": PATIENCE_S, **options}
        self.dispatcher = Dispatcher(self.balancer, made, self._changed, self.suspects.append, **options)

    def _changed(self) -> None:
        self.changes += 1

    def send(self) -> Response:
        """Send one request and wait for its answer."""
        return self.dispatcher.send(REQUEST)

    def start(self) -> "gevent.Greenlet[[], Any]":
        """Send one request and let it get as far as it can; its outcome is an Response or the error."""
        sending = gevent.spawn(self._outcome)
        gevent.sleep(0.005)
        return sending

    def _outcome(self) -> Response | Exception:
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

    def counts(self, name: str) -> tuple[int, int, int]:
        """What is told of a predictor: served, failed, and failures in a row for which it is blamed."""
        predictor = self.balancer.predictors[name]
        return predictor.served, predictor.failed, predictor.errors

    def up(self) -> str:
        """Who is in rotation."""
        return "".join(name for name, predictor in self.balancer.predictors.items() if predictor.in_rotation)

    def take_out(self, name: str) -> None:
        """Do what the health checks do with a predictor that hangs."""
        self.balancer.eject(name, time.monotonic(), "no answer")
        self.dispatcher.redispatch_from(name)


MakeBench = Callable[..., Bench]


def hang() -> int:
    """Never answer, as far as a test can tell."""
    gevent.sleep(PATIENCE_S)
    return 200


def waits_for(event: Event) -> Callable[[], int]:
    """Response when the event comes."""

    def answer() -> int:
        assert event.wait(timeout=PATIENCE_S)
        return 200

    return answer


def refused() -> UpstreamError:
    """Nobody listens."""
    return ConnectionRefused("connection refused")


def reset() -> UpstreamError:
    """The connection ended without an answer."""
    return ConnectionClosed("connection ended without an answer")


def unusable() -> UpstreamError:
    """Something came that is no answer."""
    return UnusableResponse("the answer was cut short")
