"""Predictors and clients that misbehave on raw sockets, and a measure of what that costs the router's memory.

Well-behaved processes and clients are in processes.py; the stub predictor that runs these scripts in stub_predictor.py.
"""

import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil

from tests.harness.processes import ANSWER_DEADLINE_S, ROOT, Answer, Process, Router, Stage, wait_until
from tests.harness.stubs import RESET, Script, StubPredictor, encoded, ports_of
from tests.harness.waiting import Background

GET = b"GET /predict HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BLOCK_BYTES = 64 * 1024
SAMPLE_PERIOD_S = 0.005
DRIP_PERIOD_S = 1.0
SERVICE_TIME_S = 0.2
MIB = 1024 * 1024


class Bench(NamedTuple):
    """A router before stub predictors."""

    router: Router
    path: Path
    stubs: list[StubPredictor]

    @property
    def received(self) -> list[int]:
        """How many requests to predict each stub has got."""
        return [len(stub.received) for stub in self.stubs]

    def set(self, script: Script) -> None:
        """Have every stub do this."""
        for stub in self.stubs:
            stub.script = script


def bench(stage: Stage, name: str, *options: str, service_time_s: float = SERVICE_TIME_S) -> Bench:
    """Start three stubs and the router on a copy of the named topology."""
    stubs = stage.stubs(3, service_time_s)
    path = stage.topology(name, ports_of(stubs))
    return Bench(stage.router(path, *options), path, stubs)


def is_whole(answer: Answer) -> bool:
    """Whether it is a stub's 200 with its whole own answer, by whom the router says."""
    return (answer.status, answer.body) == (200, json.dumps({"predictor": answer.predictor}).encode())


def drips(raw: bytes, period_s: float = DRIP_PERIOD_S, at_once: bytes = b"") -> Script:
    """Send `at_once`, then these bytes one at a time, a period apart, then close."""

    def script(stub: StubPredictor, connection: socket.socket) -> None:
        connection.sendall(at_once)
        for byte in raw:
            connection.sendall(bytes([byte]))
            if stub.closing.wait(period_s):
                break
        connection.shutdown(socket.SHUT_RDWR)

    return script


def floods(start: bytes, again: bytes) -> Script:
    """Send `start`, then `again` as fast as it is taken, until the router closes."""
    block = again * (BLOCK_BYTES // len(again) + 1)

    def script(stub: StubPredictor, connection: socket.socket) -> None:
        connection.sendall(start)
        while not stub.closing.is_set():
            connection.sendall(block)

    return script


def says_nothing(_: StubPredictor, connection: socket.socket) -> None:
    """Give no answer until the router closes."""
    connection.recv(1)


def resets_after(raw: bytes) -> Script:
    """Send these bytes, let them arrive, then reset the connection."""

    def script(stub: StubPredictor, connection: socket.socket) -> None:
        connection.sendall(raw)
        stub.closing.wait(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        socket.close(connection.detach())

    return script


class Adds:
    """A script: gives a whole answer and, after a pause, bytes that nobody asked for; the connection stays open."""

    def __init__(self, extra: bytes, pause_s: float) -> None:
        self.added = 0
        self._extra, self._pause_s = extra, pause_s

    def wait_for(self, number: int) -> None:
        """Wait until bytes have been added this often."""
        wait_until(lambda: self.added == number)

    def __call__(self, stub: StubPredictor, connection: socket.socket) -> None:
        """Answer one request."""
        answer = encoded(200, stub.own_answer)
        if self._pause_s:
            connection.sendall(answer)
            stub.closing.wait(self._pause_s)
            connection.sendall(self._extra)
        else:
            connection.sendall(answer + self._extra)
        self.added += 1


def closing_answer(status: int, body: bytes) -> bytes:
    """Return a whole answer in JSON that says it is the connection's last."""
    return encoded(status, body).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


@dataclass
class Judge:
    """A predictor in threads that answers by the request's body; its port can go dark, with a full accept queue."""

    name: str
    port: int
    answer: Callable[[bytes], tuple[int, bytes]]
    bodies: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.wfile.write(closing_answer(200, b'{"status": "ok"}'))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                judge.bodies.append(body)
                self.wfile.write(closing_answer(*judge.answer(body)))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._fillers: list[socket.socket] = []
        self.go_light()

    def go_light(self) -> None:
        """Accept again, beginning with what stands in the queue."""
        while self._fillers:
            self._fillers.pop().close()
        self._server.socket.listen(128)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def go_dark(self) -> None:
        """Accept nothing more and fill the queue: from now on no new connection is made, nor refused."""
        self._server.shutdown()
        self._thread.join()
        self._server.socket.listen(0)
        with suppress(TimeoutError):
            while True:
                self._fillers.append(socket.create_connection(("127.0.0.1", self.port), timeout=0.1))

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        while self._fillers:
            self._fillers.pop().close()
        self._server.server_close()


def judges(stage: Stage, answer: Callable[[str, bytes], tuple[int, bytes]]) -> list[Judge]:
    """Start three predictors that answer as `answer(own name, body)` says; the stage's end does not close them."""
    names = [f"predict{number}" for number in (1, 2, 3)]
    return [Judge(name, stage.reserve_port(), partial(answer, name)) for name in names]


def answers_after_service(name: str, _: bytes = b"") -> tuple[int, bytes]:
    """Say the own name after the service time."""
    time.sleep(SERVICE_TIME_S)
    return 200, json.dumps({"predictor": name}).encode()


class RouterUnder(Router):
    """A router on free ports that another program starts: `sh -c "ulimit ..."`, or one that takes rights away."""

    def __init__(self, stage: Stage, prefix: list[str], topology: Path, *options: str) -> None:
        command = [sys.executable, str(ROOT / "router.py"), "--port", "0", "--admin-port", "0"]
        Process.__init__(self, "router", [*prefix, *command, "--topology", str(topology), *options], stage.folder)
        try:
            self.url, self.admin_url = self.addresses(2)
        except BaseException:
            self.kill()
            raise


class PeakMemory(Background):
    """The most that a process's resident memory grows while the block runs, in MiB."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._process = psutil.Process(pid)
        self._before = self._peak = self._process.memory_info().rss

    @property
    def peak_growth_mib(self) -> float:
        """The highest sample less the first."""
        return round((self._peak - self._before) / MIB, 1)

    @property
    def growth_mib(self) -> float:
        """What is held now, less the first sample."""
        return round((self._process.memory_info().rss - self._before) / MIB, 1)

    def _work(self) -> None:
        while not self._ended.wait(SAMPLE_PERIOD_S):
            self._peak = max(self._peak, self._process.memory_info().rss)


def connect(url: str) -> socket.socket:
    """Return a raw connection to the server of this URL."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), parts.port or 80), timeout=ANSWER_DEADLINE_S)


def reset(client: socket.socket) -> None:
    """Close with a reset instead of an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


@dataclass(eq=False)
class Client:
    """One raw connection: what is sent at once, what drips after it, what came back and when; monotonic seconds."""

    at_once: bytes
    dripped: bytes = b""
    connection: socket.socket = field(init=False)
    received: bytes = b""
    started_at_s: float = 0.0
    answered_at_s: float = 0.0
    ended_at_s: float = 0.0

    @property
    def status(self) -> int:
        """The answer's status; 0 if none came."""
        words = self.received.split(b" ", 2)
        return int(words[1]) if len(words) > 1 else 0

    @property
    def took_s(self) -> float:
        """From the first byte sent to the first byte received."""
        return self.answered_at_s - self.started_at_s

    @property
    def lasted_s(self) -> float:
        """From the first byte sent to the end of the connection by the other side."""
        return self.ended_at_s - self.started_at_s


class Crowd(Background):
    """Many raw clients in one thread, which drip a byte a second and read until the other side closes."""

    def __init__(self, url: str, clients: list[Client]) -> None:
        """Connect all, then send what each sends at once."""
        super().__init__()
        self.clients = clients
        self._selector = selectors.DefaultSelector()
        for client in clients:
            client.connection = connect(url)
            self._selector.register(client.connection, selectors.EVENT_READ, client)
        for client in clients:
            client.started_at_s = time.monotonic()
            client.connection.sendall(client.at_once)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for client in self.clients:
            client.connection.close()
        self._selector.close()

    @property
    def ended(self) -> int:
        """How many connections the other side has closed."""
        return sum(client.ended_at_s > 0 for client in self.clients)

    def _work(self) -> None:
        due_s = time.monotonic() + DRIP_PERIOD_S
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.02):
                self._receive(key.data)
            if time.monotonic() >= due_s:
                due_s += DRIP_PERIOD_S
                self._drip()

    def _receive(self, client: Client) -> None:
        data = b""
        with suppress(OSError):
            data = client.connection.recv(65536)
        now_s = time.monotonic()
        client.received += data
        client.answered_at_s = client.answered_at_s or (now_s if data else 0.0)
        if not data:
            client.ended_at_s = now_s
            self._selector.unregister(client.connection)

    def _drip(self) -> None:
        for client in self.clients:
            if client.dripped and not client.ended_at_s:
                with suppress(OSError):
                    client.connection.send(client.dripped[:1])
                client.dripped = client.dripped[1:]
