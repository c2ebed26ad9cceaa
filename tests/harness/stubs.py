"""A predictor that does what a test says: answers its name, holds requests, fails in any way. No model."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, NamedTuple

RESET = struct.pack("ii", 1, 0)


class Received(NamedTuple):
    """A request as it arrived; the names of its headers are in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[["StubPredictor", socket.socket], None]
"""What is done with a connection on which a request to predict has arrived."""


def answers(status: int = 200, body: bytes | None = None, delay_s: float = 0.0) -> Script:
    """Answer with this status and body; a body of None says the stub's name."""

    def script(stub: "StubPredictor", connection: socket.socket) -> None:
        stub.closing.wait(delay_s)
        connection.sendall(encoded(status, stub.own_answer if body is None else body))

    return script


def sends(raw: bytes) -> Script:
    """Send these bytes as they are, then close."""

    def script(_: "StubPredictor", connection: socket.socket) -> None:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_RDWR)

    return script


def resets(_: "StubPredictor", connection: socket.socket) -> None:
    """Reset the connection instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    socket.close(connection.detach())  # close() would wait for the reader


def encoded(status: int, body: bytes) -> bytes:
    """Return a whole answer in JSON."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class StubPredictor:
    """Serves in threads of the test's own process, on a reserved port, from the start until `close`.

    Health checks pass while `healthy`. While `holding`, a request to predict waits until it is released; then
    `script` says what becomes of it.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.own_answer = json.dumps({"predictor": name}).encode()
        self.script: Script = answers()
        self.healthy = True
        self.holding = False
        self.received: list[Received] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._gates: list[threading.Event] = []
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.go_up()

    @property
    def held(self) -> int:
        """How many requests are held."""
        with self._lock:
            return len(self._gates)

    def release(self, number: int | None = None) -> None:
        """Let the oldest held requests go on; all of them where no number is given."""
        with self._lock:
            released, self._gates = self._gates[:number], self._gates[number:] if number is not None else []
        for gate in released:
            gate.set()

    def let_go(self) -> None:
        """Hold nothing any more."""
        self.holding = False
        self.release()

    def go_up(self) -> None:
        """Listen on the port."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self._start(self._accept, self._listener)

    def go_down(self) -> None:
        """Refuse connections, and end all that are open."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.release()

    def close(self) -> None:
        """End every connection and thread."""
        self.closing.set()
        self.go_down()
        self.let_go()
        while self._threads:
            self._threads.pop().join()

    def _start(self, target: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(sock,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open.add(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError):
            while request := _read_request(reader):
                if request.path == "/health":
                    connection.sendall(encoded(200 if self.healthy else 503, b'{"status": "said"}'))
                else:
                    self._predict(request, connection)
        with self._lock:
            self._open.discard(connection)

    def _predict(self, request: Received, connection: socket.socket) -> None:
        gate = threading.Event()
        with self._lock:
            self.received.append(request)
            if self.holding:
                self._gates.append(gate)
            else:
                gate.set()
        gate.wait()
        self.script(self, connection)


def ports_of(stubs: list[StubPredictor]) -> list[int]:
    """The stubs' ports, for a topology file."""
    return [stub.port for stub in stubs]


def _read_request(reader: BinaryIO) -> Received | None:
    """Read one request as a well-behaved client sends it; None at the connection's end."""
    words = reader.readline().decode().split()
    if len(words) != 3:
        return None
    headers = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Received(words[0], words[1], headers, reader.read(int(headers.get("content-length", 0))))
