"""One request to one predictor. Which predictor, and what a failure means, is decided elsewhere."""

import errno
from typing import Any

import gevent

from routing.topology import Entry
from routing.upstream.errors import (
    Answer,
    ConnectionRefused,
    ForwardingError,
    NeverRead,
    NoAnswer,
    NoConnection,
    NoDescriptor,
    Request,
    UnusableAnswer,
)
from routing.upstream.pool import Connections
from routing.upstream.response import AnswerParser

__all__ = [
    "Answer",
    "ConnectionRefused",
    "ForwardingError",
    "NeverRead",
    "NoAnswer",
    "NoConnection",
    "NoDescriptor",
    "Request",
    "UnusableAnswer",
    "Upstream",
]

PIECE_BYTES = 64 * 1024
RESET = (errno.ECONNRESET, errno.EPIPE)


class Upstream:
    """The way to one predictor: connections that are kept open, and what is said on them."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._connections = Connections(entry)
        host = entry.url.removeprefix("http://")
        self._host_lines = f"Host: {host}\r\nAccept-Encoding: identity\r\n"

    @property
    def has_host_name(self) -> bool:
        """Whether its host is a name, not an address."""
        return self._connections.has_host_name

    @property
    def address(self) -> str | None:
        """The IP address where it was reached last; None where it answered nowhere that its host's name leads to."""
        return self._connections.address

    def send(self, request: Request, fresh: bool = False) -> Answer:
        """Send the request and read the whole answer; `fresh` opens a connection for it alone.

        Never follows redirects, asks a proxy or reads .netrc. The caller bounds the time. Raises ForwardingError.
        """
        return self._exchange("POST /predict", request, fresh)

    def check_health(self) -> None:
        """Ask GET /health over a connection of its own; raises ForwardingError unless it answers 200.

        The caller bounds the time.
        """
        answer = self._exchange("GET /health", Request(b"", {"Connection": "close"}), alone=True)
        if answer.status != 200:
            raise UnusableAnswer(f"health check answered {answer.status}")

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def _exchange(self, line: str, request: Request, alone: bool) -> Answer:
        message = self._message(line, request)
        connection = self._connections.open() if alone else self._connections.take()
        lasts = False
        try:
            _send(connection, message)
            parser = _receive(connection)
            answer = parser.answer(self.entry.name)
            lasts = parser.connection_lasts and not alone  # never after an answer that is in doubt
            return answer
        finally:
            if lasts:
                self._connections.keep(connection)
            else:
                connection.close()

    def _message(self, line: str, request: Request) -> bytes:
        """Return the request as one piece of bytes: sent in two, it would wake the predictor twice."""
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
        raise _ended(error) from error


def _receive(connection: Any) -> AnswerParser:
    """Read until the answer is whole; raises ForwardingError."""
    parser = AnswerParser()
    while not parser.complete:
        if parser.begun:
            gevent.sleep(0)  # reading does not wait while more has always arrived: let all others have their turn
        try:
            piece = connection.recv(PIECE_BYTES)
        except OSError as error:
            if parser.begun:
                raise UnusableAnswer(f"the answer was cut short: {error}") from error
            raise _ended(error) from error
        if not piece and not parser.begun:
            raise NoAnswer("connection closed without an answer")
        parser.take(piece)
    return parser


def _ended(error: OSError) -> ForwardingError:
    """Say what an end without an answer means: a reset comes where bytes lay unread, else the end is orderly."""
    if error.errno in RESET:
        return NeverRead("connection reset without an answer")
    return NoAnswer(f"connection ended without an answer ({error})")
