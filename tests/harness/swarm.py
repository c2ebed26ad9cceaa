"""Locust processes for the tests, their web UI used as its page uses it, and a stub router to swarm."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 30.0
FIGURES = {"peak_load": 10, "capacity": 10, "status": True}
SATURATED = b'{"error": "every predictor is at capacity", "reason": "saturated"}'


class StubRouter:
    """Answers /predict with 200, with 503 when `refuses(self)`; /topology tells the requests in flight."""

    def __init__(self, refuses: Callable[[StubRouter], bool], hold_s: float = 0.0) -> None:
        self.arrivals_s: list[float] = []
        self.bodies: list[tuple[str | None, bytes]] = []
        self.answered = self.in_flight = 0
        self.refuses, self.hold_s = refuses, hold_s
        self.lock, self.released = threading.Lock(), threading.Event()
        self._server = Server(("127.0.0.1", 0), type("Handler", (StubHandler,), {"stub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End every held answer and the server."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class Server(ThreadingHTTPServer):
    """Takes the whole swarm's connections at once; a client that is gone is no error."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: a stopped swarm breaks its connections."""


class StubHandler(BaseHTTPRequestHandler):
    """One connection of the swarm."""

    protocol_version = "HTTP/1.1"
    stub: StubRouter

    def do_GET(self) -> None:
        """Both ports of the router in one."""
        if self.path == "/topology":
            predictors = {"predict1": {"load": self.stub.in_flight, **FIGURES, "port": "9696"}}
            return self.answer(200, json.dumps({"topology": "single", "predictors": predictors}).encode())
        with self.stub.lock:
            self.stub.arrivals_s.append(time.time())
            refused = self.stub.refuses(self.stub)
            self.stub.in_flight += not refused
        if refused:
            self.answer(503, SATURATED)
        else:
            self.stub.released.wait(self.stub.hold_s)
            with self.stub.lock:
                self.stub.in_flight -= 1
            self.answer(200, b"{}")
        self.stub.answered += 1
        return None

    def do_POST(self) -> None:
        """The same, with the body and its type noted."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.stub.bodies.append((self.headers["Content-Type"], body))
        self.do_GET()

    def answer(self, status: int, body: bytes) -> None:
        """Send one answer."""
        self.send_response(status)
        self.send_header("X-Predictor", "predict1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Swarm:
    """One Locust process and its output."""

    def __init__(self, folder: Path, *options: str, cwd: Path = ROOT) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.log = folder / f"locust{time.monotonic_ns()}.log"
        file = [] if cwd != ROOT else ["-f", "locust/locustfile.py"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "locust", *file, *options],
                cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text()

    def kill(self) -> None:
        """End it and its workers surely; no error if it has ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def exit_status(self) -> int:
        """Wait for the end."""
        return self.process.wait(DEADLINE_S)

    def record(self) -> dict[str, Any]:
        """The first-failure file."""
        return dict(json.loads((self.folder / "first.json").read_text()))

    def rows(self, name: str = "records*.csv") -> list[dict[str, str]]:
        """The records of all its processes."""
        texts = [path.read_text() for path in self.folder.glob(name)]
        return [row for text in texts for row in csv.DictReader(text.splitlines())]


def from_request(number: int) -> Callable[[StubRouter], bool]:
    """Refuse this request and all later ones."""
    return lambda stub: len(stub.arrivals_s) >= number


def headless(router: StubRouter, *options: str, users: int = 60, run_time_s: int = 20) -> list[str]:
    """Options of a bounded run."""
    swarm = ["--headless", "--only-summary", "-u", str(users), "-r", "60", "-t", f"{run_time_s}s"]
    return [*swarm, "--host", router.url, "--admin", router.url, *options]


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def own_master_port() -> list[str]:
    """Options that keep a master and its workers to themselves."""
    port = str(free_port())
    return ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]


class WebPage:
    """Locust's web UI, used as its page uses it."""

    def __init__(self, run: Swarm, port: int) -> None:
        self.run, self.url = run, f"http://127.0.0.1:{port}"
        until(self._is_up)

    def _is_up(self) -> bool:
        try:
            return requests.get(self.url, timeout=5).ok
        except requests.ConnectionError:
            assert self.run.process.poll() is None, self.run.output
            return False

    def form(self) -> dict[str, Any]:
        """What the page fills its form with."""
        page = requests.get(self.url, timeout=5).text
        form: dict[str, Any] = json.JSONDecoder().raw_decode(page, page.index("{", page.index("templateArgs")))[0]
        return form

    def press_start(self, router: StubRouter, origin: str | None = None, **fields: Any) -> dict[str, Any]:
        """Fill in the form and press Start; returns what the page is told."""
        form = {"user_count": 60, "spawn_rate": 60, "host": router.url, "admin": router.url} | fields
        headers = {"Origin": origin or self.url}
        return dict(requests.post(f"{self.url}/swarm", data=form, headers=headers, timeout=5).json())

    def start(self, router: StubRouter, **fields: Any) -> None:
        """Fill in the form, with the checkbox, and press Start; the run starts."""
        told = self.press_start(router, stop_at_first_failure="true", **fields)
        assert told["success"], told

    def download(self, path: str) -> list[dict[str, str]]:
        """The rows of a CSV file that the page links to."""
        answer = requests.get(f"{self.url}/{path}", timeout=5)
        assert answer.headers["Content-Type"].startswith("text/csv")
        return list(csv.DictReader(answer.text.splitlines()))

    def stats(self) -> dict[str, Any]:
        """What the page polls."""
        return dict(requests.get(f"{self.url}/stats/requests", timeout=5).json())

    def failures_noted(self) -> list[str]:
        """The lines of the log."""
        return re.findall(r"First failure after .*", self.run.output)

    def wait_for_stop(self, failures: int) -> None:
        """Wait until the run's failure is noted, as this many-th, and the run has stopped by itself."""
        until(lambda: len(self.failures_noted()) == failures)
        until(lambda: self.stats()["state"] == "stopped")
