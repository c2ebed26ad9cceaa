"""A serving port that is spoken to in raw bytes, and the rules that stand whatever it is sent."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.harness.http_client import PROMPT_S, Answer, answers_in, connect, post, until_end
from tests.harness.processes import Process, Router
from tests.harness.stage import Stage
from tests.harness.stubs import StubPredictor
from tests.harness.waiting import wait_until


@dataclass
class Endpoint:
    """A serving port, the process behind it and, for a router, the stub predictor behind that."""

    name: str
    url: str
    process: Process
    stubs: list[StubPredictor] = field(default_factory=list)
    forwarded: int = field(default=0, init=False)

    @property
    def port(self) -> int:
        """The port alone."""
        return int(self.url.rpartition(":")[2])

    @property
    def stub(self) -> StubPredictor:
        """The predictor behind a router."""
        [stub] = self.stubs
        return stub

    @property
    def router(self) -> Router:
        """The process, which is a router."""
        assert isinstance(self.process, Router)
        return self.process

    def connect(self) -> socket.socket:
        """Opens a connection to it."""
        return connect(self.url, PROMPT_S)

    def receive(self, *sent: bytes, finish: bool) -> bytes:
        """Sends these pieces one after the other and returns all that comes until the other side closes.

        With `finish` no more is announced to come; without, only the other side can end the connection.
        Raises TimeoutError if it does not within PROMPT_S.
        """
        with self.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):  # a refusal may come, and the connection end, before all is sent
                for piece in sent:
                    client.sendall(piece)
                if finish:
                    client.shutdown(socket.SHUT_WR)
            return until_end(client)

    def responses(self, *sent: bytes, finish: bool = True, head_asked: bool = False) -> list[Answer]:
        """Sends the bytes, and returns the answers until the connection's end."""
        heard = answers_in(self.receive(*sent, finish=finish), head_asked)
        self.forwarded += sum("x-predictor" in answer.headers for answer in heard) if self.stubs else 0
        return heard

    def statuses(self, *sent: bytes, finish: bool = True) -> list[int]:
        """Sends the bytes, and returns the statuses of the answers."""
        return [answer.status for answer in self.responses(*sent, finish=finish)]

    def refusal(self, sent: bytes) -> Answer:
        """Sends the bytes, which the other side must answer once and with an error, and then close by itself."""
        [heard] = self.responses(sent, finish=False)
        assert heard.status >= 400
        assert heard.json()["error"]
        return heard

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Afterwards the stub must have got exactly the requests that it answered, and the process be sound."""
        self.forwarded = 0
        for stub in self.stubs:
            stub.received.clear()
        yield
        for stub in self.stubs:
            assert len(stub.received) == self.forwarded
        self.assert_sound()

    def assert_sound(self) -> None:
        """Checks that it runs, has reported no trouble, serves, and has no request in flight."""
        assert self.process.running()
        assert self.process.errors() == ""
        # Waited for: on a busy machine the stub may have missed health checks, and is back a moment later.
        wait_until(lambda: self.statuses(post()) == [200])
        if self.stubs:
            wait_until(lambda: self.router.loads() == [0])


def open_router(stage: Stage) -> Endpoint:
    """A router before one stub predictor."""
    deployed = stage.deploy("single", number=1)
    return Endpoint("router", deployed.url, deployed.router, deployed.stubs)


def open_predictor(stage: Stage) -> Endpoint:
    """A predictor without service time, with the real model, which reads records strictly."""
    return _serving(stage.predictor("predict1", stage.reserve_port(), service_time_s=0.0))


def open_light_predictor(stage: Stage) -> Endpoint:
    """The same with a light model, which takes any JSON."""
    return _serving(stage.light_predictor("predict1", stage.reserve_port(), service_time_s=0.0))


def _serving(predictor: Process) -> Endpoint:
    return Endpoint("predictor", predictor.addresses(1)[0], predictor)
