"""The HTTP front doors under test, spoken to in raw bytes: how to open them, what they said, what they were asked.

Which answer is right is said in the tests.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.harness.processes import SAMPLE, Process, Stage, wait_until
from tests.harness.stubs import StubPredictor

PROMPT_S = 5.0
"""The longest that an answer, and the connection's end after a refusal, may take; no request here runs long."""

HOST = b"Host: localhost\r\n"
JSON_TYPE = b"Content-Type: application/json\r\n"
POST = b"POST /predict HTTP/1.1\r\n" + HOST + JSON_TYPE
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nsmuggle"

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [\t -~]*")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~]*)")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.[0-9]")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)[\t ]*(?:;[^\r\n]*)?\r\n")


class Heard(NamedTuple):
    """One answer; the names of its headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def post(extra: bytes = b"", body: bytes = SAMPLE) -> bytes:
    """A whole POST to predict, with its length, and these header lines more."""
    return POST + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, size: int = 1024) -> bytes:
    """The body in chunks of this many bytes, with the last chunk."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def answers_in(received: bytes, head_asked: bool = False) -> list[Heard]:
    """Split what came into answers; AssertionError unless all of it is well-formed HTTP with JSON bodies.

    Interim answers (100 Continue) are left out. With `head_asked`, an answer may lack the body it declares.
    """
    heard = []
    while received:
        answer, received = _one_answer(received, head_asked)
        if answer.status != 100:
            heard.append(answer)
    return heard


def _one_answer(received: bytes, head_asked: bool) -> tuple[Heard, bytes]:
    head, separator, rest = received.partition(b"\r\n\r\n")
    assert separator, f"the answer has no end of headers: {received[:200]!r}"
    first, *lines = head.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    assert status, f"no status line: {first[:200]!r}"
    matches = [_HEADER_LINE.fullmatch(line) for line in lines]
    headers = {match[1].decode().lower(): match[2].decode() for match in matches if match}
    assert len(headers) == len(lines), f"bad or doubled headers: {head!r}"
    if status[1] == b"100":
        return Heard(100, headers, b""), rest
    length = int(headers["content-length"])
    if head_asked and (not rest or rest.startswith(b"HTTP/1.")):
        return Heard(int(status[1]), headers, b""), rest
    assert len(rest) >= length, f"the answer is cut short: {received[:200]!r}"
    body = rest[:length]
    assert headers["content-type"] == "application/json", f"not JSON: {received[:200]!r}"
    assert isinstance(json.loads(body), dict | list)
    return Heard(int(status[1]), headers, body), rest[length:]


class Asked(NamedTuple):
    """A complete request as RFC 9112 reads it."""

    method: bytes
    target: bytes
    body: bytes


def requests_in(sent: bytes) -> list[Asked]:
    """Read the requests that these bytes hold beyond doubt, until the first that is incomplete or ambiguous.

    A second opinion on the framing, by RFC 9112 alone: a server may serve these requests or fewer, never others.
    A GET may be served for its headers alone; one whose body goes wrong counts, as the last.
    """
    found = []
    while request := _one_request(sent.removeprefix(b"\r\n")):
        asked, sent = request
        found.append(asked)
    return found


def _one_request(sent: bytes) -> tuple[Asked, bytes] | None:
    head, separator, rest = sent.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if not separator or not line:
        return None
    fields = [(name.lower(), value.strip(b" \t")) for name, _, value in (one.partition(b":") for one in lines)]
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    coding = [one.strip(b" \t").lower() for one in b",".join(codings).split(b",")]
    if len(lengths) > 1 or (lengths and codings) or (codings and coding[-1] != b"chunked"):
        return None
    body = _chunks(rest) if codings else _counted(rest, lengths[0] if lengths else b"0")
    if body is None and line[1] == b"GET":
        body = b"", b""
    return None if body is None else (Asked(line[1], line[2], body[0]), body[1])


def _counted(rest: bytes, length: bytes) -> tuple[bytes, bytes] | None:
    """The body of this length and what follows it; None where the length is no number or the body not whole."""
    if not re.fullmatch(rb"[0-9]{1,4000}", length) or len(rest) < int(length):
        return None
    return rest[: int(length)], rest[int(length) :]


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    """The body in these chunks and what follows it; None where one is out of form or the last is missing."""
    body = b""
    while line := _CHUNK_LINE.match(rest):
        size, rest = int(line[1], 16), rest[line.end() :]
        if size == 0:
            if rest.startswith(b"\r\n"):
                return body, rest[2:]
            _, end, after = rest.partition(b"\r\n\r\n")
            return (body, after) if end else None
        if rest[size : size + 2] != b"\r\n":
            return None
        body, rest = body + rest[:size], rest[size + 2 :]
    return None


@dataclass
class Door:
    """A serving port, the process behind it and, for a router, the stub predictor behind that."""

    name: str
    port: int
    process: Process
    stub: StubPredictor | None = None
    forwarded: int = field(default=0, init=False)

    def connect(self) -> socket.socket:
        """Open a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PROMPT_S)

    def receive(self, *sent: bytes, finish: bool) -> bytes:
        """Send these pieces one after the other and return all that comes until the other side closes.

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

    def hear(self, *sent: bytes, finish: bool = True, head_asked: bool = False) -> list[Heard]:
        """Send the bytes, and return the answers until the connection's end."""
        heard = answers_in(self.receive(*sent, finish=finish), head_asked)
        self.forwarded += sum("x-predictor" in answer.headers for answer in heard)
        return heard

    def refusal(self, sent: bytes) -> Heard:
        """Send the bytes, which the other side must answer once and with an error, and then close by itself."""
        [heard] = self.hear(sent, finish=False)
        assert heard.status >= 400
        assert heard.json()["error"]
        return heard

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Afterwards the stub must have got exactly the requests that it answered, and the process be sound."""
        self.forwarded = 0
        if self.stub:
            self.stub.received.clear()
        yield
        if self.stub:
            assert len(self.stub.received) == self.forwarded
        self.assert_sound()

    def assert_sound(self) -> None:
        """Check that it runs, has reported no trouble, serves, and has no request in flight."""
        assert self.process.running()
        assert self.process.errors() == ""
        # Waited for: on a busy machine the stub may have missed health checks, and is back a moment later.
        wait_until(lambda: [answer.status for answer in self.hear(post())] == [200])
        if self.stub:
            wait_until(lambda: self.process.loads() == [0])  # type: ignore[attr-defined]


def until_end(client: socket.socket) -> bytes:
    """All that comes until the other side closes or resets; TimeoutError after PROMPT_S, however much comes."""
    received, end_s = b"", time.monotonic() + PROMPT_S
    with suppress(ConnectionError):
        while more := client.recv(65536):
            received += more
            if time.monotonic() > end_s:
                raise TimeoutError
    return received


def open_router(stage: Stage) -> Door:
    """A router before one stub predictor."""
    [stub] = stage.stubs(1)
    router = stage.router(stage.topology("single", [stub.port]))
    return Door("router", int(router.url.rpartition(":")[2]), router, stub)


def open_predictor(stage: Stage) -> Door:
    """A real predictor without service time."""
    port = stage.reserve_port()
    [predictor] = stage.predictors([port], 0.0)
    return Door("predictor", port, predictor)


def open_doors(stage: Stage) -> dict[str, Door]:
    """Both, by name."""
    return {door.name: door for door in (open_router(stage), open_predictor(stage))}
