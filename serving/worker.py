"""A connection's life: requests parsed and answered by gunicorn, in turn with all others, and its end. gevent waits.

Which connections there are, and when the server stops, is in server.py.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import gevent
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import errors as bad
from gunicorn.workers.ggevent import GeventWorker

from serving.timeouts import at_most

KEEPALIVE_S = 14.0
"""An idle connection, or one whose headers drip in, is closed after this; above the swarm's longest wait of 5 s."""

WRITE_TIMEOUT_S = 10.0
"""The longest that a client may take none of its answer."""

FIRST_REQUEST_S = 1.0
"""A polite stop waits this long for the first request of a new connection: it is on its way."""

LINGER_S = 2.0
LINGER_BYTES = 4 * 1024 * 1024
"""A refused body is read and thrown away this long, so that closing does not destroy the answer on its way."""

PARSED_AT_ONCE = 8192
"""The most that the parser asks for at once where each byte may be costly: headers, chunks."""

TURN_BYTES = 1024
"""What it then gets between two turns of all others."""

MOST_HELD = 64 * 1024
"""An answer of known length up to this is sent in one piece."""

LEFTOVER_BYTES = 64 * 1024
"""An unread body up to this size is skipped to keep its connection; a larger one closes it."""

FRAMING_STATUS = {
    bad.LimitRequestLine: 414,
    bad.LimitRequestHeaders: 431,
    bad.ExpectationFailed: 417,
    bad.UnsupportedTransferCoding: 501,
}


class Address(NamedTuple):
    """All that gunicorn asks of the listening socket, which a stop closes before the last connections begin."""

    name: Any

    def getsockname(self) -> Any:
        """Return the address, as a socket does."""
        return self.name


class _Fair:
    """A connection that lets all others have their turn before each read, and can send an answer in one piece.

    gevent switches only where a read has to wait: a client that sends fast, and whose bytes are costly to
    parse (a megabyte in chunks of one byte), would otherwise hold up the whole process.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held: bytearray | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        gevent.sleep(0)
        return self._sock.recv(size if size > PARSED_AT_ONCE else TURN_BYTES)

    def hold(self) -> None:
        """Gather what is sent from now on: head and body of an answer cost one system call and one packet, not two."""
        self._held = bytearray()

    def let_go(self) -> None:
        """Send what was gathered, and from now on at once."""
        held, self._held = self._held, None
        if held:
            self._sock.sendall(held)

    def sendall(self, data: bytes) -> None:
        if self._held is None:
            self._sock.sendall(data)
        else:
            self._held += data

    def drop(self) -> None:
        """Forget what was gathered: its answer failed half way."""
        self._held = None

    def shutdown(self, how: int) -> None:
        self.drop()
        self._sock.shutdown(how)

    def end_reading(self) -> None:
        """Let the reader find the connection's end once it has read what has arrived.

        This is the kernel's own shutdown: gevent's would break the reader's wait off with an error.
        """
        cast(Any, self._sock)._sock.shutdown(socket.SHUT_RD)


class Connections(GeventWorker):
    """Every connection of one listener; gunicorn's worker without its arbiter, process and heartbeat."""

    def __init__(self, sock: socket.socket, app: Callable[..., Any]) -> None:
        config = _gunicorn_config()
        super().__init__(0, os.getppid(), [sock], cast(Any, None), 0, config, Logger(config))
        self.wsgi = self._closing_in_time(app)
        self._open: set[_Fair] = set()
        self._busy: set[_Fair] = set()
        self._served: set[_Fair] = set()

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """Serve a connection until its end."""
        fair = _Fair(client)
        self._open.add(fair)
        try:
            super().handle(listener, cast(socket.socket, fair), addr)
        finally:
            self._open.discard(fair)
            self._served.discard(fair)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answer one request; StopIteration says that the connection ends with it."""
        _refuse_in_doubt(req)
        self._busy.add(sock)
        try:
            return self._answer(listener_name, req, sock, addr)
        except TimeoutError:
            raise StopIteration from None  # the client takes nothing: close
        finally:
            sock.settimeout(None)
            self._busy.discard(sock)
            self._served.add(sock)
            if not _skip_leftover(req.body):
                _linger(sock)

    def _answer(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        try:
            answered = super().handle_request(listener_name, req, sock, addr)
        except StopIteration:  # the connection closes after this answer
            sock.let_go()
            raise
        except BaseException:
            sock.drop()
            raise
        sock.let_go()
        return answered

    def _closing_in_time(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `app`: an answer during a stop, or to a body that was not read to its end, says Connection: close."""

        def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
            answer = app(environ, start_response)
            client, response = environ["gunicorn.socket"], start_response.__self__
            client.settimeout(WRITE_TIMEOUT_S)
            if not self.alive or environ["wsgi.input"].failed:
                response.force_close()
            length, is_file = response.response_length, isinstance(answer, environ["wsgi.file_wrapper"])
            if length is not None and length <= MOST_HELD and not is_file:  # the system itself sends files
                client.hold()
            return answer

        return wsgi

    def let_go_idle(self) -> None:
        """Close connections that wait for their next request; one that is being answered closes after it."""
        self.alive = False
        for client in self._open - self._busy:
            if client in self._served:
                self._end_if_waiting(client)
            else:
                gevent.spawn_later(FIRST_REQUEST_S, self._end_if_waiting, client)

    def _end_if_waiting(self, client: _Fair) -> None:
        if client in self._open - self._busy:
            with contextlib.suppress(OSError):
                client.end_reading()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that HTTP does not allow, in JSON; anything else is logged and a bare 500."""
        if isinstance(exc, bad.ParseException):
            status = FRAMING_STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
            text = f"not a valid HTTP request: {exc}"
        else:
            self.log.error("error handling a request", exc_info=exc)
            status, text = HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"
        with contextlib.suppress(OSError), at_most(LINGER_S):
            client.sendall(_error_answer(HTTPStatus(status), text))
        _linger(client)


def _refuse_in_doubt(req: Any) -> None:
    """Hold a parsed request to what the parser leaves open; raises ParseException."""
    req.version = min(req.version, (1, 1))  # it is echoed in the answer, and 1.1 is what we speak (RFC 9110, 2.5)
    if req.version == (1, 1) and not any(name == "HOST" for name, _ in req.headers):
        raise bad.InvalidHeader("HOST is missing")  # RFC 9112, 3.2
    for name, value in req.headers:
        if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
            raise bad.UnsupportedTransferCoding(value)  # the body would be passed on undecoded


def _gunicorn_config() -> Config:
    os.environ.pop("SCRIPT_NAME", None)  # gunicorn would cut it off every path
    config = Config()
    config.set("keepalive", int(KEEPALIVE_S))
    config.set("forwarded_allow_ips", "")  # no client may set SCRIPT_NAME, the scheme or its own address
    config.set("forwarder_headers", "")
    config.set("loglevel", "error")
    return config


def _skip_leftover(body: Any) -> bool:
    """Read what the app left of a small body; say whether the connection can go on to a next request."""
    if not body.failed and getattr(body.reader, "length", None) != 0:  # 0: all of it was read
        body.failed = True
        with contextlib.suppress(OSError, bad.ParseException), at_most(LINGER_S):
            body.failed = len(body.read(LEFTOVER_BYTES)) == LEFTOVER_BYTES
    return not body.failed


def _error_answer(status: HTTPStatus, text: str) -> bytes:
    body = json.dumps({"error": text[:500]}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _linger(sock: socket.socket) -> None:
    """Half-close and read on for a moment: closing at once would reset the answer away (RFC 9112, 9.6)."""
    with contextlib.suppress(OSError), at_most(LINGER_S):
        sock.shutdown(socket.SHUT_WR)
        received = 0
        while received < LINGER_BYTES and (chunk := sock.recv(64 * 1024)):
            received += len(chunk)
