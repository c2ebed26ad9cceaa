"""Predictions that show whether a predictor can join; fakes answer, no network."""

from pathlib import Path
from typing import Any

import gevent
import pytest

from routing.proofs import Proofs
from routing.upstream.errors import UpstreamError
from routing.upstream.response import Response
from server_file import OWN, Server
from tests.harness.waiting import wait_until

INTERVAL_S = 0.05
Answer = int | Exception | None


class FakeUpstream:
    """Answers with this status, or fails, or not at all where that is None."""

    def __init__(self, answer: Answer, server: Server | None = None) -> None:
        self.server = server or Server(health_interval_s=INTERVAL_S, payload=b"[1]", content_type="text/own")
        self.answer = answer
        self.sent: list[Any] = []

    def send(self, request: Any, fresh: bool) -> Response:
        """Answers."""
        assert fresh
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            gevent.sleep(20)
        return Response(self.answer or 200, {}, b"", "a")


def proofs_of(*upstreams: FakeUpstream) -> Proofs:
    """Proofs of a, b, ..."""
    made: Any = dict(zip("abc", upstreams, strict=False))
    return Proofs(made, 0.1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(200, "None"), (201, "None"), (404, "the payload was answered 404"), (503, "the payload was answered 503"),
     (UpstreamError("no answer"), "no answer"), (None, "the payload was not answered within 0.1 s")],
)  # fmt: skip
def test_failure_sends_the_payload_and_takes_2xx_for_good(answer: Answer, reason: str) -> None:
    """Whatever its health check says."""
    upstream = FakeUpstream(answer)
    assert str(proofs_of(upstream).failure("a")) == reason
    assert upstream.sent == [(b"[1]", {"Content-Type": "text/own"}, "POST")]


def test_failures_asks_all_at_once() -> None:
    """And names those that gave no good answer."""
    proofs = proofs_of(FakeUpstream(200), FakeUpstream(None), FakeUpstream(404))
    assert list(proofs.failures(["a", "b", "c"])) == ["b", "c"]


def test_without_payload_nothing_is_asked() -> None:
    """The rig's own predictors join by their health checks."""
    upstream = FakeUpstream(404, OWN)
    proofs = proofs_of(upstream)
    assert proofs.failure("a") is None
    assert proofs.is_proven("a")
    assert upstream.sent == []


@pytest.mark.parametrize("server", [OWN, Server(file=Path("mine.json"))])
def test_has_answered_asks_who_has_no_payload_too(server: Server) -> None:
    """As a client's GET would."""
    upstream = FakeUpstream(200, server)
    proofs = proofs_of(upstream)
    wait_until(lambda: gevent.sleep(0.01) or proofs.has_answered("a", 0.05))
    assert [request.method for request in upstream.sent] == ["GET"]
    proofs.stop()


def test_has_answered_in_time_only() -> None:
    """An answer that takes longer shows nothing."""
    upstream = FakeUpstream(None, Server(health_interval_s=INTERVAL_S, payload=b"1"))
    proofs = proofs_of(upstream)
    wait_until(lambda: gevent.sleep(0.01) or proofs.has_answered("a", 0.02) or len(upstream.sent) == 3)
    assert not proofs.has_answered("a", 0.02)
    proofs.stop()


def test_is_proven_waits_for_nobody_and_holds_for_an_interval() -> None:
    """It asks, says no until the answer is there, and asks again when that is old or was no good one."""
    upstream = FakeUpstream(404)
    proofs = proofs_of(upstream)
    assert not proofs.is_proven("a")
    wait_until(lambda: gevent.sleep(0.01) or proofs.is_proven("a") or len(upstream.sent) == 2)
    upstream.answer = 200
    wait_until(lambda: gevent.sleep(0.01) or proofs.is_proven("a"))
    asked = len(upstream.sent)
    assert proofs.is_proven("a")
    gevent.sleep(2 * INTERVAL_S)
    assert not proofs.is_proven("a")
    gevent.sleep(0.01)
    assert len(upstream.sent) == asked + 1
    proofs.stop()
