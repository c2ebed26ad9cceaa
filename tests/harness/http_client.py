"""The tests' HTTP client: whole requests, raw bytes on sockets, and answers read strictly."""

import http.client
import json
import re
import select
import socket
import struct
import time
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.harness.project import SAMPLE

ANSWER_DEADLINE_S = 25.0
PROMPT_S = 5.0
"""The longest that an answer to raw bytes, and the connection's end after a refusal, may take where none runs long."""

RESET = struct.pack("ii", 1, 0)
HOST = b"Host: localhost\r\n"
JSON_TYPE = b"Content-Type: application/json\r\n"
GET = b"GET /predict HTTP/1.1\r\n" + HOST + b"\r\n"
GET_HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
LAST_GET_HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SAMPLE)
POST = b"POST /predict HTTP/1.1\r\n" + HOST + JSON_TYPE
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: 7\r\n\r\nsmuggle"

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [\t -~]*")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~]*)")


class Answer(NamedTuple):
    """An answer, its headers' names in small letters, or status 0 and the error's name as body; monotonic seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent_at_s: float = 0.0
    took_s: float = 0.0

    @property
    def predictor(self) -> str:
        """Who answered, as the router says; empty if it says nobody."""
        return self.headers.get("x-predictor", "")

    @property
    def is_whole(self) -> bool:
        """Whether it is a stub's 200 with its whole own answer, by whom the router says."""
        return (self.status, self.body) == (200, json.dumps({"predictor": self.predictor}).encode())

    def json(self) -> Any:
        """The body as JSON, which it must declare to be."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    def refusal(self) -> tuple[int, str]:
        """The status and the router's reason."""
        return self.status, self.json()["reason"]


class Exchange:
    """A request on a connection of its own: sent at once, its answer read when asked for."""

    def __init__(
        self,
        url: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str] | None,
        silent_s: float = ANSWER_DEADLINE_S,
    ) -> None:
        """Sends GET, or POST where there is a body; waits `silent_s` for each step at most.

        Raises OSError when the connection is not made.
        """
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=silent_s)
        self.sent_at_s = time.monotonic()
        sent = {"Content-Type": "application/json"} if headers is None and body is not None else headers or {}
        try:
            self._connection.request("GET" if body is None else "POST", path, body, sent)
        except BaseException:
            self._connection.close()
            raise

    def answered(self) -> bool:
        """Whether an answer, or the connection's end, has begun to arrive."""
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def answer(self) -> Answer:
        """Waits for the whole answer; raises OSError or HTTPException when none comes."""
        try:
            response = self._connection.getresponse()
            body = response.read()
        finally:
            self._connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body, self.sent_at_s, time.monotonic() - self.sent_at_s)

    def close(self) -> None:
        """Closes the connection, answered or not."""
        self._connection.close()


class KeptConnection:
    """A client that keeps its connection, and notes where that ended though neither side had said so."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_DEADLINE_S)
        self._asked = False
        self.cut = self.told_to_close = 0

    def fetch(self, path: str = "/predict", body: bytes | None = None) -> Answer:
        """Sends GET, or POST where there is a body; where the connection has ended, once more on a new one."""
        start_s = time.monotonic()
        try:
            return self._ask(path, body, start_s)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if not self._asked:
                return Answer(0, {}, type(error).__name__.encode(), start_s, time.monotonic() - start_s)
        self.cut, self._asked = self.cut + 1, False
        return self.fetch(path, body)

    def _ask(self, path: str, body: bytes | None, start_s: float) -> Answer:
        typed = {} if body is None else {"Content-Type": "application/json"}
        self._connection.request("GET" if body is None else "POST", path, body, typed)
        response = self._connection.getresponse()
        body = response.read()
        self._asked = not response.will_close
        self.told_to_close += response.will_close
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body, start_s, time.monotonic() - start_s)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def fetch(url: str, path: str = "/predict", body: bytes | None = None, **headers: str) -> Answer:
    """Sends GET, or POST where there is a body, and returns the answer; `_` in a header's name stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(url, path, body, named or None).answer()


def try_fetch(url: str, body: bytes | None = None, silent_s: float = ANSWER_DEADLINE_S) -> Answer:
    """Asks for a prediction; a request without an answer gives status 0 and the error's name as the body."""
    start_s = time.monotonic()
    try:
        return Exchange(url, "/predict", body, None, silent_s).answer()
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {}, type(error).__name__.encode(), start_s, time.monotonic() - start_s)


def connect(url: str, timeout_s: float = ANSWER_DEADLINE_S) -> socket.socket:
    """Returns a raw connection to the server of this URL."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), parts.port or 80), timeout=timeout_s)


def reset(client: socket.socket) -> None:
    """Closes with a reset instead of an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    socket.close(client.detach())  # close() would wait for a reader


def until_end(client: socket.socket, deadline_s: float = PROMPT_S) -> bytes:
    """All that comes until the other side closes or resets; TimeoutError after the deadline, however much comes."""
    received, end_s = b"", time.monotonic() + deadline_s
    with suppress(ConnectionError):
        while more := client.recv(65536):
            received += more
            if time.monotonic() > end_s:
                raise TimeoutError
    return received


def post(extra: bytes = b"", body: bytes = SAMPLE) -> bytes:
    """A whole POST to predict, with its length, and these header lines more."""
    return POST + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, size: int = 1024) -> bytes:
    """The body in chunks of this many bytes, with the last chunk."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def answers_in(received: bytes, head_asked: bool = False) -> list[Answer]:
    """Splits what came into answers; AssertionError unless all of it is well-formed HTTP with JSON bodies.

    Interim answers (100 Continue) are left out. With `head_asked`, an answer may lack the body it declares.
    """
    found = []
    while received:
        answer, received = _one_answer(received, head_asked)
        if answer.status != 100:
            found.append(answer)
    return found


def _one_answer(received: bytes, head_asked: bool) -> tuple[Answer, bytes]:
    head, separator, rest = received.partition(b"\r\n\r\n")
    assert separator, f"the answer has no end of headers: {received[:200]!r}"
    first, *lines = head.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    assert status, f"no status line: {first[:200]!r}"
    matches = [_HEADER_LINE.fullmatch(line) for line in lines]
    headers = {match[1].decode().lower(): match[2].decode() for match in matches if match}
    assert len(headers) == len(lines), f"bad or doubled headers: {head!r}"
    if status[1] == b"100":
        return Answer(100, headers, b""), rest
    length = int(headers["content-length"])
    if head_asked and (not rest or rest.startswith(b"HTTP/1.")):
        return Answer(int(status[1]), headers, b""), rest
    assert len(rest) >= length, f"the answer is cut short: {received[:200]!r}"
    body = rest[:length]
    assert headers["content-type"] == "application/json", f"not JSON: {received[:200]!r}"
    assert isinstance(json.loads(body), dict | list)
    return Answer(int(status[1]), headers, body), rest[length:]
