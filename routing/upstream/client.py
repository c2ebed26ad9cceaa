"""One request to one predictor. Which predictor, and what a failure means, is decided elsewhere."""

import errno
from typing import Any, NamedTuple

import gevent

from routing.topology import Entry
from routing.upstream.errors import (
    ConnectionClosed,
    HealthCheckFailed,
    ResetBeforeRead,
    UnusableResponse,
    UpstreamError,
)
from routing.upstream.pool import ConnectionPool
from routing.upstream.response import Response, ResponseParser

RECEIVE_BYTES = 64 * 1024
RESET = (errno.ECONNRESET, errno.EPIPE)


class Request(NamedTuple):
    """What a predictor is sent: always POST /predict."""

    body: bytes
    headers: dict[str, str]


class Upstream:
    """The way to one predictor: connections that are kept open, and the requests sent over them."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._pool = ConnectionPool(entry)
        self.resolver = self._pool.resolver
        self._host_lines = f"Host: {entry.authority}\r\nAccept-Encoding: identity\r\n"

    def send(self, request: Request, fresh: bool = False) -> Response:
        """Sends the request and reads the whole response; `fresh` opens a connection for it alone.

        Never follows redirects, asks a proxy or reads .netrc. The caller bounds the time. Raises UpstreamError.
        """
        return self._exchange("POST /predict", request, fresh)

    def check_health(self) -> None:
        """Sends GET /health over a new connection; the caller bounds the time. Raises UpstreamError unless 200."""
        response = self._exchange("GET /health", Request(b"", {"Connection": "close"}), fresh=True)
        if response.status != 200:
            raise HealthCheckFailed(response.status)

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.close()

    def _exchange(self, line: str, request: Request, fresh: bool) -> Response:
        message = self._message(line, request)
        connection = self._pool.open() if fresh else self._pool.acquire()
        keep_alive = False
        try:
            _send(connection, message)
            parser = _receive(connection)
            response = parser.response(self.entry.name)
            keep_alive = parser.keep_alive and not fresh  # and stays False where the response is invalid
            return response
        finally:
            if keep_alive:
                self._pool.release(connection)
            else:
                connection.close()

    def _message(self, line: str, request: Request) -> bytes:
        """Returns the request as one piece of bytes: sent in two, it would wake the predictor twice."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        if not lines.count("\r") == lines.count("\n") == len(request.headers):
            raise ValueError("a header holds a line break: it would be sent on as another header")
        head = f"{line} HTTP/1.1\r\n{self._host_lines}{lines}Content-Length: {len(request.body)}\r\n\r\n"
        return head.encode("latin-1") + request.body


def _send(connection: Any, message: bytes) -> None:
    try:
        connection.sendall(message)
    except BrokenPipeError:
        pass  # it has closed, and may have said why before
    except OSError as error:
        raise _closed(error) from error


def _receive(connection: Any) -> ResponseParser:
    """Reads until the response is whole; raises UpstreamError."""
    parser = ResponseParser()
    while not parser.complete:
        if parser.begun:
            gevent.sleep(0)  # reading does not wait while more has always arrived: let all others have their turn
        try:
            data = connection.recv(RECEIVE_BYTES)
        except OSError as error:
            if parser.begun:
                raise UnusableResponse(f"the answer was cut short: {error}") from error
            raise _closed(error) from error
        if not data and not parser.begun:
            raise ConnectionClosed("connection closed without an answer")
        parser.parse(data)
    return parser


def _closed(error: OSError) -> UpstreamError:
    """Names an end without a response: a reset comes where bytes lay unread, else the end is orderly."""
    if error.errno in RESET:
        return ResetBeforeRead("connection reset without an answer")
    return ConnectionClosed(f"connection ended without an answer ({error})")
