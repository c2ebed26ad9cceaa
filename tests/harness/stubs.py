"""A predictor that does what a test says: answers its name, holds requests, fails in any way. No model.

What else it can be made to send is in misbehaviour.py.
"""

import json
import socket
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from tests.harness.http_client import reset


class Received(NamedTuple):
    """A request as it arrived; the names of its headers are in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[["StubPredictor", socket.socket], None]
"""What is done with a connection on which a request to predict has arrived."""


def answers(status: int = 200, body: bytes | None = None, delay_s: float = 0.0) -> Script:
    """Answers with this status and body; a body of None says the stub's name."""

    def script(stub: "StubPredictor", connection: socket.socket) -> None:
        stub.closing.wait(delay_s)
        connection.sendall(encoded(status, stub.own_answer if body is None else body))

    return script


def at_most(number: int, status: int, delay_s: float) -> Script:
    """Answers well after this time, but so many at once only; others hear this status at once."""
    slots = threading.BoundedSemaphore(number)

    def script(stub: "StubPredictor", connection: socket.socket) -> None:
        if not slots.acquire(blocking=False):
            connection.sendall(encoded(status, b'{"error": "full"}'))
            return
        stub.closing.wait(delay_s)
        slots.release()
        connection.sendall(encoded(200, stub.own_answer))

    return script


def sends(raw: bytes) -> Script:
    """Sends these bytes as they are, then closes."""

    def script(_: "StubPredictor", connection: socket.socket) -> None:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_RDWR)

    return script


def resets(_: "StubPredictor", connection: socket.socket) -> None:
    """Resets the connection instead of an answer."""
    reset(connection)


def encoded(status: int, body: bytes) -> bytes:
    """Returns a whole answer in JSON."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class StubServer(ABC):
    """Serves in threads of the test's own process, from the start until `close`; a port of 0 is any free one."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.host, self.port = host, port
        self.accepted = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._fillers: list[socket.socket] = []
        self.go_up()

    @abstractmethod
    def serve(self, request: Received, connection: socket.socket) -> None:
        """Answers a request."""

    def go_up(self) -> None:
        """Listens on the port."""
        self._listener = socket.create_server((self.host, self.port), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._begin_to_accept()

    def go_down(self) -> None:
        """Refuses connections, and ends all that are open."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_connections()

    def stop_accepting(self) -> None:
        """Accepts nothing more and fills the queue: no new connection is made, nor refused. Those open are ended."""
        self._accepting = False
        self._own_connection(timeout_s=5.0).close()  # wakes the accepting thread
        self._acceptor.join()
        self._listener.listen(0)
        with suppress(TimeoutError):
            while True:
                self._fillers.append(self._own_connection(timeout_s=0.1))
        self._end_connections()

    def accept_again(self) -> None:
        """Accepts again, beginning with what stands in the queue."""
        while self._fillers:
            self._fillers.pop().close()
        self._listener.listen(256)
        self._begin_to_accept()

    def close(self) -> None:
        """Ends every connection and thread."""
        self.closing.set()
        self.go_down()
        while self._fillers:
            self._fillers.pop().close()
        while self._threads:
            self._threads.pop().join()

    def _own_connection(self, timeout_s: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=timeout_s)

    def _end_connections(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _begin_to_accept(self) -> None:
        self._accepting = True
        self._acceptor = self._start(self._accept, self._listener)

    def _start(self, target: Callable[[socket.socket], None], sock: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=target, args=(sock,), daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while self._accepting:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self.accepted += 1
                    self._open.add(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError):
            while request := _read_request(reader):
                self.serve(request, connection)
        with self._lock:
            self._open.discard(connection)


class StubPredictor(StubServer):
    """Passes health checks while `healthy`, and does to each request to predict what `script_for` it says.

    That is `script`, unless a test puts another function in its place. While `holding`, a request waits first until
    it is released. At `most_connections` open it answers 503 to all, to health checks too, as uvicorn does at its
    `--limit-concurrency`.
    """

    def __init__(self, name: str, port: int, host: str = "127.0.0.1") -> None:
        self.name = name
        self.own_answer = json.dumps({"predictor": name}).encode()
        self.script: Script = answers()
        self.script_for: Callable[[Received], Script] = lambda _: self.script
        self.healthy = True
        self.most_connections: int | None = None
        self.health_path = "/health"
        self.checks: deque[Received] = deque(maxlen=100)
        self.holding = False
        self.received: list[Received] = []
        self._gates: list[threading.Event] = []
        super().__init__(port, host)

    @property
    def held(self) -> int:
        """How many requests are held."""
        with self._lock:
            return len(self._gates)

    def release(self, number: int | None = None) -> None:
        """Lets the oldest held requests go on; all of them where no number is given."""
        with self._lock:
            released, self._gates = self._gates[:number], self._gates[number:] if number is not None else []
        for gate in released:
            gate.set()

    def release_held(self) -> None:
        """Holds nothing any more."""
        self.holding = False
        self.release()

    def go_down(self) -> None:
        """Refuses connections, and ends all that are open and what is held."""
        super().go_down()
        self.release()

    def close(self) -> None:
        """Ends every connection and thread."""
        self.holding = False
        super().close()

    def serve(self, request: Received, connection: socket.socket) -> None:
        """Answers a request."""
        if self.most_connections is not None and len(self._open) >= self.most_connections:
            connection.sendall(encoded(503, b'{"error": "limit"}'))
            return
        if request.path == self.health_path:
            self.checks.append(request)
            connection.sendall(encoded(200 if self.healthy else 503, b'{"status": "said"}'))
            return
        gate = threading.Event()
        with self._lock:
            self.received.append(request)
            if self.holding:
                self._gates.append(gate)
            else:
                gate.set()
        gate.wait()
        self.script_for(request)(self, connection)


def ports_of(stubs: list[StubPredictor]) -> list[int]:
    """The stubs' ports, for a topology file."""
    return [stub.port for stub in stubs]


def _read_request(reader: BinaryIO) -> Received | None:
    """Reads one request as a well-behaved client sends it; None at the connection's end."""
    words = reader.readline().decode().split()
    if len(words) != 3:
        return None
    headers = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Received(words[0], words[1], headers, reader.read(int(headers.get("content-length", 0))))
