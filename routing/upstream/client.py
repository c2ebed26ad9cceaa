"""One request to one predictor. Which predictor, and what a failure means, is decided elsewhere."""

import errno
import socket
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
TCP_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Known to Linux alone."""

RESET = (errno.ECONNRESET, errno.EPIPE)


class Request(NamedTuple):
    """What a predictor is sent, to its own path."""

    body: bytes
    headers: dict[str, str]
    method: str = "POST"


class Upstream:
    """The way to one predictor: connections that are kept open, and the requests sent over them."""

    def __init__(self, entry: Entry) -> None:
        """Reads what headers the server file gives; raises JsonFileError where a variable in them is not set."""
        self.entry = entry
        self.server = entry.server
        self._pool = ConnectionPool(entry)
        self.resolver = self._pool.resolver
        own = self.server.header_values()
        self._own_names = {name.lower() for name in own}  # they go before the client's
        fixed = {"Host": entry.authority, "Accept-Encoding": "identity"}
        kept = {name: value for name, value in fixed.items() if name.lower() not in self._own_names}
        self._fixed_lines = _lines({**kept, **own})

    def send(self, request: Request, fresh: bool = False) -> Response:
        """Sends the request and reads the whole response; `fresh` opens a connection for it alone.

        Never follows redirects, asks a proxy or reads .netrc. The caller bounds the time. Raises UpstreamError.
        """
        return self._exchange(self.server.path, request, fresh)

    def check_health(self) -> None:
        """Sends the health check over a new connection; the caller bounds the time. Raises UpstreamError unless 2xx.

        Where the server has none, a connection that is accepted is enough.
        """
        self._pool.close_idle(self.server.health_interval_s)  # some count connections, and answer 503 at their limit
        path = self.server.health
        if path is None:
            self._pool.open().close()
            return
        response = self._exchange(path, Request(b"", {"Connection": "close"}, "GET"), fresh=True)
        if not 200 <= response.status < 300:
            raise HealthCheckFailed(response.status, path)

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.close()

    def _exchange(self, path: str, request: Request, fresh: bool) -> Response:
        message = self._message(path, request)
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

    def _message(self, path: str, request: Request) -> bytes:
        """Returns the request as one piece of bytes: sent in two, it would wake the predictor twice."""
        headers = request.headers
        if self._own_names:
            headers = {name: value for name, value in headers.items() if name.lower() not in self._own_names}
        lines = f"{self._fixed_lines}{_lines(headers)}Content-Length: {len(request.body)}\r\n\r\n"
        return f"{request.method} {path} HTTP/1.1\r\n{lines}".encode("latin-1") + request.body


def _lines(headers: dict[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\r") == lines.count("\n") == len(headers):
        raise ValueError("a header holds a line break: it would be sent on as another header")
    return lines


def _send(connection: Any, message: bytes) -> None:
    try:
        sent = connection.send(message)  # all of it as a rule, for half of what `sendall` costs
        if sent < len(message):
            connection.sendall(message[sent:])
    except BrokenPipeError:
        pass  # it has closed, and may have said why before
    except OSError as error:
        raise _closed(error) from error


def _receive(connection: Any) -> ResponseParser:
    """Reads until the response is whole; raises UpstreamError."""
    parser = ResponseParser()
    while not parser.complete:
        if parser.begun:
            _acknowledge(connection)
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


def _acknowledge(connection: Any) -> None:
    """Has the kernel acknowledge the first piece of a response now: many servers send the second only after that.

    On a connection that is kept it would wait 40 ms, for the next request to carry it (Nagle's algorithm, RFC 1122).
    """
    if TCP_QUICKACK is not None:
        connection.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)  # for this once: the kernel falls back


def _closed(error: OSError) -> UpstreamError:
    """Names an end without a response: a reset comes where bytes lay unread, else the end is orderly."""
    if error.errno in RESET:
        return ResetBeforeRead("connection reset without an answer")
    return ConnectionClosed(f"connection ended without an answer ({error})")
