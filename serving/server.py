"""The server: sockets, how many connections, and a polite stop. What happens on a connection: worker.py."""

import errno
import resource
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import gevent
import gevent.socket
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer

from serving.sockets import Listener, bind, url
from serving.worker import ListenerAddress, Worker

MIN_GRACE_S = 15.0
"""How long a polite stop waits for accepted requests at least."""

KILL_TIMEOUT_S = 1.0
MAX_CONNECTIONS = 4096
MAX_RESERVED = 64
SPARE_DESCRIPTORS = 32
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def serve(
    name: str,
    listeners: Sequence[Listener],
    before_start: Callable[[], None] | None = None,
    on_start: Callable[["Server"], None] | None = None,
    before_stop: Callable[[float], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    grace_s: float = MIN_GRACE_S,
    log: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then answers every accepted request and returns.

    Called in their order: `before_start` when all is ready and nothing is accepted yet (nothing of what follows if it
    raises); `on_start` with the server once it accepts; `before_stop` with the longest that the stop may take, in
    seconds; `on_stop` at the end. `grace_s` is the longest that an accepted request may take; a stop waits for it, or
    MIN_GRACE_S if that is more. `log` gets a line per listener, its address last; without it they are printed after
    `name`. Raises UsageError when an address cannot be bound. The process must have imported `serving.patched`.
    """
    bound = [listener.bound or bind(listener) for listener in listeners]
    sockets = [_cooperative(sock) if each.app else sock for sock, each in zip(bound, listeners, strict=True)]
    server = Server([(sock, each.app) for sock, each in zip(sockets, listeners, strict=True) if each.app is not None])
    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, server.request_stop)
    if before_start is not None:
        before_start()
    try:
        server.start()
        log = log or (lambda text: print(f"{name}: {text}", flush=True))
        for listener, sock in zip(listeners, sockets, strict=True):
            log(" ".join(filter(None, (listener.title, "serving on", url(sock)))))
        if on_start is not None:
            on_start(server)
        server.wait_and_stop(max(grace_s, MIN_GRACE_S), before_stop)
    finally:
        if on_stop is not None:
            on_stop()


def _cooperative(sock: socket.socket) -> socket.socket:
    """Returns the socket as gevent has it: it may have been made before `serving.patched` was imported."""
    made: Any = gevent.socket.socket(sock.family, sock.type, fileno=sock.detach())
    return cast(socket.socket, made)


def _connection_limit() -> int:
    """Half of what descriptors are left: each request may need one more to reach a predictor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * MAX_CONNECTIONS + SPARE_DESCRIPTORS
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(MAX_CONNECTIONS, (soft - SPARE_DESCRIPTORS) // 2))


def _pools(listeners: int) -> list[Pool]:
    """Gives the first listener most connections, and each further one a few that the first cannot take."""
    limit = _connection_limit()
    reserved = min(MAX_RESERVED, max(1, limit // 4))
    return [Pool(max(1, limit - reserved * (listeners - 1)))] + [Pool(reserved) for _ in range(listeners - 1)]


class _OutOfDescriptorsError(OSError):
    """No descriptor is left for another connection: it waits in the kernel, and gevent accepts again in a moment."""


class _Acceptor(StreamServer):
    def do_read(self) -> Any:
        try:
            return super().do_read()
        except OSError as error:
            if error.errno in OUT_OF_RESOURCES:
                raise _OutOfDescriptorsError(error.errno, error.strerror) from None
            raise


class Server:
    """Accepts on every socket, and ends without losing an accepted request: by a stop, or by leaving to another."""

    def __init__(self, served: list[tuple[socket.socket, Callable[..., Any]]]) -> None:
        self._ending = Event()
        self._stop_now = Event()
        self._stops = 0
        self._has_left = False
        self._pools = _pools(len(served))
        self._workers = [Worker(sock, app) for sock, app in served]
        self._addresses = [ListenerAddress(sock.getsockname()) for sock, _ in served]
        self._acceptors = [
            _Acceptor(sock, handle=partial(worker.handle, address), spawn=pool)
            for (sock, _), worker, address, pool in zip(
                served, self._workers, self._addresses, self._pools, strict=True
            )
        ]

    def start(self) -> None:
        """Accepts from now on."""
        hub = gevent.get_hub()
        hub.NOT_ERROR = (*hub.NOT_ERROR, _OutOfDescriptorsError)  # no traceback for it
        for acceptor in self._acceptors:
            acceptor.start()

    def request_stop(self) -> None:
        """Stops politely; requested a second time, stops waiting for requests in flight."""
        self._stops += 1
        if self._stops > 1:
            self._stop_now.set()
        self._ending.set()

    def wait_until_hurried(self) -> None:
        """Waits until a stop is requested a second time."""
        self._stop_now.wait()

    def stop_accepting(self) -> None:
        """Leaves new connections to another process, in the kernel's queue until it accepts."""
        for acceptor in self._acceptors:
            acceptor.close()

    def leave(self, pass_on: Callable[[int, socket.socket, bool], None]) -> None:
        """Has every connection go on elsewhere once nothing of a request is on its way here, and ends after the last.

        `pass_on` gets the listener's number, the connection, and whether it has had an answer.
        """
        self._has_left = True
        for number, worker in enumerate(self._workers):
            worker.leave(partial(pass_on, number))
        self._ending.set()

    def adopt(self, number: int, descriptor: int, served: bool) -> None:
        """Goes on with a connection of another process to the same listener; closes it where there is no room."""
        client: Any = gevent.socket.socket(fileno=descriptor)
        pool, worker = self._pools[number], self._workers[number]
        try:
            if pool.full():
                client.close()
            else:
                pool.spawn(partial(worker.handle, self._addresses[number], client, client.getpeername(), served))
        except OSError:
            client.close()  # it has ended on its way

    def wait_and_stop(self, grace_s: float, before_stop: Callable[[float], None] | None = None) -> None:
        """Waits until it is to end, then for all connections, or for `grace_s` at most."""
        self._ending.wait()
        if not self._has_left:
            if before_stop is not None:
                before_stop(grace_s + KILL_TIMEOUT_S)
            self._stop_politely()
        deadline = time.monotonic() + grace_s
        while any(self._pools) and not self._stop_now.is_set() and time.monotonic() < deadline:
            gevent.sleep(0.02)
        for pool in self._pools:
            pool.kill(timeout=KILL_TIMEOUT_S)

    def _stop_politely(self) -> None:
        for acceptor in self._acceptors:
            acceptor.stop_accepting()
            self._accept_backlog(acceptor)
            acceptor.close()  # nothing may yield since the last accept: what comes in between would be reset
        gevent.sleep(0)
        for worker in self._workers:
            worker.close_idle()

    def _accept_backlog(self, acceptor: StreamServer) -> None:
        """Accepts what the kernel has already accepted for us: those clients may have sent their request."""
        while not acceptor.full() and (accepted := acceptor.do_read()):
            acceptor.do_handle(*accepted)
