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

MAX_CONNECTIONS = 4096
MAX_RESERVED = 64
SPARE_DESCRIPTORS = 32
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def serve(
    name: str,
    listeners: Sequence[Listener],
    on_stop: Callable[[], None] | None = None,
    grace_s: float = MIN_GRACE_S,
    log: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then answers every accepted request, calls `on_stop` and returns.

    `grace_s` is the longest that an accepted request may take; a stop waits for it, or MIN_GRACE_S if that is more.
    `log` gets a line per listener, its address last; without it they are printed after `name`.
    Raises UsageError when an address cannot be bound. The process must have imported `serving.patched`.
    """
    try:
        bound = [listener.bound or bind(listener) for listener in listeners]
        sockets = [_cooperative(sock) if each.app else sock for sock, each in zip(bound, listeners, strict=True)]
        served = [(sock, each.app) for sock, each in zip(sockets, listeners, strict=True) if each.app is not None]
        server = _Server(served)
        for signum in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(signum, server.request_stop)
        server.start()
        log = log or (lambda text: print(f"{name}: {text}", flush=True))
        for listener, sock in zip(listeners, sockets, strict=True):
            log(" ".join(filter(None, (listener.title, "serving on", url(sock)))))
        server.wait_and_stop(max(grace_s, MIN_GRACE_S))
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


class _Server:
    """Accepts on every socket, and stops without losing an accepted request."""

    def __init__(self, served: list[tuple[socket.socket, Callable[..., Any]]]) -> None:
        self._stop_requested = Event()
        self._stop_now = Event()
        self._pools = _pools(len(served))
        self._workers = [Worker(sock, app) for sock, app in served]
        self._acceptors = [
            _Acceptor(sock, handle=partial(worker.handle, ListenerAddress(sock.getsockname())), spawn=pool)
            for (sock, _), worker, pool in zip(served, self._workers, self._pools, strict=True)
        ]

    def start(self) -> None:
        hub = gevent.get_hub()
        hub.NOT_ERROR = (*hub.NOT_ERROR, _OutOfDescriptorsError)  # no traceback for it
        for acceptor in self._acceptors:
            acceptor.start()

    def request_stop(self) -> None:
        """Stops politely; requested a second time, stops waiting for requests in flight."""
        if self._stop_requested.is_set():
            self._stop_now.set()
        self._stop_requested.set()

    def wait_and_stop(self, grace_s: float) -> None:
        self._stop_requested.wait()
        for acceptor in self._acceptors:
            acceptor.stop_accepting()
            self._accept_backlog(acceptor)
            acceptor.close()  # nothing may yield since the last accept: what comes in between would be reset
        gevent.sleep(0)
        for worker in self._workers:
            worker.close_idle()
        deadline = time.monotonic() + grace_s
        while any(self._pools) and not self._stop_now.is_set() and time.monotonic() < deadline:
            gevent.sleep(0.02)
        for pool in self._pools:
            pool.kill(timeout=1.0)

    def _accept_backlog(self, acceptor: StreamServer) -> None:
        """Accepts what the kernel has already accepted for us: those clients may have sent their request."""
        while not acceptor.full() and (accepted := acceptor.do_read()):
            acceptor.do_handle(*accepted)
