"""A connection's life: its requests, parsed and answered by gunicorn, and its end. Which there are: server.py."""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import gevent
from gevent.socket import cancel_wait
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import errors as bad
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

KEEPALIVE_S = 14.0
"""An idle connection, or one whose headers drip in, is closed after this; above the swarm's longest wait of 5 s."""

WRITE_TIMEOUT_S = 10.0
"""The longest that a client may take none of its answer."""

FIRST_REQUEST_S = 1.0
"""A polite stop waits this long for the first request of a new connection: it is on its way."""

LINGER_S = 2.0
LINGER_BYTES = 4 * 1024 * 1024
"""A refused body is read and thrown away this long, so that closing does not destroy the answer on its way."""

MAX_PARSED_BYTES = 8192
"""The most that the parser asks for at once where each byte may be costly: headers, chunks."""

YIELD_BYTES = 1024
"""What it then gets between two turns of all others."""

MAX_CORKED_BYTES = 64 * 1024
"""An answer of known length up to this is sent in one piece."""

LEFTOVER_BYTES = 64 * 1024
"""An unread body up to this size is skipped to keep its connection; a larger one closes it."""

FRAMING_STATUS = {
    bad.LimitRequestLine: 414,
    bad.LimitRequestHeaders: 431,
    bad.ExpectationFailed: 417,
    bad.UnsupportedTransferCoding: 501,
}


class ListenerAddress(NamedTuple):
    """All that gunicorn asks of the listening socket, which a stop closes before the last connections begin."""

    name: Any

    def getsockname(self) -> Any:
        """Returns the address, as a socket does."""
        return self.name


class _AskedToLeave(Exception):  # noqa: N818
    """Breaks off the wait for a connection's next request."""


class _YieldingSocket:
    """A connection that lets all others have their turn before each read, and can send an answer in one piece.

    gevent switches only where a read has to wait: a client that sends fast, and whose bytes are costly to
    parse (a megabyte in chunks of one byte), would otherwise hold up the whole process.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._corked: bytearray | None = None
        self.between_requests = True
        """Whether nothing of a next request has been read."""
        self.leave: Callable[[], None] | None = None
        """Gives the connection away; called between two requests."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        gevent.sleep(0)
        while True:
            if self.leave is not None and self.between_requests:
                self.leave()
                raise StopIteration  # as at a connection's end, which closes this process's copy alone
            try:
                received = self._sock.recv(size if size > MAX_PARSED_BYTES else YIELD_BYTES)
            except _AskedToLeave:
                continue  # bytes may have come first: then it is asked again after their answer
            self.between_requests = False
            return received

    def ask_to_leave(self, leave: Callable[[], None]) -> None:
        """Has `leave` called between two requests: now, where the reader waits for the next one."""
        self.leave = leave
        if self.between_requests:
            cancel_wait(cast(Any, self._sock)._read_event, _AskedToLeave())

    def cork(self) -> None:
        """Gathers what is sent from now on: head and body of an answer cost one system call and one packet, not two."""
        self._corked = bytearray()

    def uncork(self) -> None:
        """Sends what was gathered, and from now on at once."""
        corked, self._corked = self._corked, None
        if corked:
            self._sock.sendall(corked)

    def sendall(self, data: bytes) -> None:
        if self._corked is None:
            self._sock.sendall(data)
        else:
            self._corked += data

    def discard(self) -> None:
        """Forgets what was gathered: its answer failed half way."""
        self._corked = None

    def shutdown(self, how: int) -> None:
        self.discard()
        self._sock.shutdown(how)

    def end_reading(self) -> None:
        """Lets the reader find the connection's end once it has read what has arrived.

        This is the kernel's own shutdown: gevent's would break the reader's wait off with an error.
        """
        cast(Any, self._sock)._sock.shutdown(socket.SHUT_RD)


class Worker(GeventWorker):
    """Every connection of one listener; gunicorn's worker without its arbiter, process and heartbeat."""

    def __init__(self, sock: socket.socket, app: Callable[..., Any]) -> None:
        config = _gunicorn_config()
        super().__init__(0, os.getppid(), [sock], cast(Any, None), 0, config, Logger(config))
        self.wsgi = self._with_connection_close(app)
        self._open: set[_YieldingSocket] = set()
        self._busy: set[_YieldingSocket] = set()
        self._served: set[_YieldingSocket] = set()
        self._pass_on: Callable[[socket.socket, bool], None] | None = None

    def handle(self, listener: Any, client: socket.socket, addr: Any, served: bool = False) -> None:
        """Serves a connection until its end; `served`: it has had an answer of another process."""
        wrapped = _YieldingSocket(client)
        self._open.add(wrapped)
        if served:
            self._served.add(wrapped)
        if self._pass_on is not None:
            wrapped.leave = partial(self._give, wrapped)
        try:
            super().handle(listener, cast(socket.socket, wrapped), addr)
        finally:
            self._open.discard(wrapped)
            self._served.discard(wrapped)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answers one request; StopIteration says that the connection ends with it."""
        _validate_request(req)
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
            sock.between_requests = not req.unreader.buf.getvalue()

    def _answer(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        try:
            # not GeventWorker's: it swallows that a greenlet is killed, and would wait for another request
            answered = AsyncWorker.handle_request(self, listener_name, req, sock, addr)
        except StopIteration:  # the connection closes after this answer
            sock.uncork()
            raise
        except gevent.GreenletExit:  # what is still in flight at the end of a stop is cut off
            sock.discard()
            raise StopIteration from None
        except BaseException:
            sock.discard()
            raise
        sock.uncork()
        return answered

    def _with_connection_close(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps `app`: an answer during a stop, or to a body that was not read to its end, says Connection: close."""

        def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
            answer = app(environ, start_response)
            client, response = environ["gunicorn.socket"], start_response.__self__
            client.settimeout(WRITE_TIMEOUT_S)
            if not self.alive or environ["wsgi.input"].failed:
                response.force_close()
            length, is_file = response.response_length, isinstance(answer, environ["wsgi.file_wrapper"])
            if length is not None and length <= MAX_CORKED_BYTES and not is_file:  # the system itself sends files
                client.cork()
            return answer

        return wsgi

    def leave(self, pass_on: Callable[[socket.socket, bool], None]) -> None:
        """Gives every connection away once it is between two requests; `pass_on`: and whether it has had an answer."""
        self._pass_on = pass_on
        for client in list(self._open):
            client.ask_to_leave(partial(self._give, client))

    def _give(self, client: _YieldingSocket) -> None:
        cast(Any, self._pass_on)(client, client in self._served)

    def close_idle(self) -> None:
        """Closes connections that wait for their next request; one that is being answered closes after it."""
        self.alive = False
        for client in self._open - self._busy:
            if client in self._served:
                self._close_if_idle(client)
            else:
                gevent.spawn_later(FIRST_REQUEST_S, self._close_if_idle, client)

    def _close_if_idle(self, client: _YieldingSocket) -> None:
        if client in self._open - self._busy:
            with contextlib.suppress(OSError):
                client.end_reading()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answers a request that HTTP does not allow, in JSON; anything else is logged and a bare 500."""
        if isinstance(exc, bad.ParseException):
            status = FRAMING_STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
            text = f"not a valid HTTP request: {exc}"
        else:
            self.log.error("error handling a request", exc_info=exc)
            status, text = HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"
        with contextlib.suppress(OSError), _silent_timeout(LINGER_S):
            client.sendall(_error_answer(HTTPStatus(status), text))
        _linger(client)


def _validate_request(req: Any) -> None:
    """Checks of a parsed request what the parser leaves open; raises ParseException."""
    req.version = min(req.version, (1, 1))  # it is echoed in the answer, and 1.1 is what we speak (RFC 9110, 2.5)
    if req.version == (1, 1) and not any(name == "HOST" for name, _ in req.headers):
        raise bad.InvalidHeader("HOST is missing")  # RFC 9112, 3.2
    for name, value in req.headers:
        if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
            raise bad.UnsupportedTransferCoding(value)  # the body would be passed on undecoded


@contextlib.contextmanager
def _silent_timeout(seconds: float) -> Iterator[None]:
    """Leaves the block without an error when it has waited this long."""
    with gevent.Timeout(seconds, False):  # type: ignore[arg-type]  # the stubs do not know False, which means: quietly
        yield


def _gunicorn_config() -> Config:
    os.environ.pop("SCRIPT_NAME", None)  # gunicorn would cut it off every path
    config = Config()
    config.set("keepalive", int(KEEPALIVE_S))
    config.set("forwarded_allow_ips", "")  # no client may set SCRIPT_NAME, the scheme or its own address
    config.set("forwarder_headers", "")
    config.set("loglevel", "error")
    return config


def _skip_leftover(body: Any) -> bool:
    """Reads what the app left of a small body; returns whether the connection can go on to a next request."""
    if not body.failed and getattr(body.reader, "length", None) != 0:  # 0: all of it was read
        body.failed = True
        with contextlib.suppress(OSError, bad.ParseException), _silent_timeout(LINGER_S):
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
    """Half-closes and reads on for a moment: closing at once would reset the answer away (RFC 9112, 9.6)."""
    with contextlib.suppress(OSError), _silent_timeout(LINGER_S):
        sock.shutdown(socket.SHUT_WR)
        received = 0
        while received < LINGER_BYTES and (chunk := sock.recv(64 * 1024)):
            received += len(chunk)
