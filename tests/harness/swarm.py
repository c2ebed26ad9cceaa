"""Locust processes for the tests, their web UI used as its page uses it, and a stub router to swarm."""

import csv
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.harness.processes import Process
from tests.harness.project import ROOT
from tests.harness.stubs import Received, StubServer
from tests.harness.waiting import wait_until

DEADLINE_S = 30.0
SATURATED = b'{"error": "every predictor is at capacity", "reason": "saturated"}'


class StubRouter(StubServer):
    """Answers /predict with 200, with 503 when `refuses(self)`; /topology tells the requests in flight.

    With `last`, the request that arrives as this many-th is answered after all before it, and later ones never.
    """

    def __init__(self, refuses: Callable[["StubRouter"], bool], hold_s: float = 0.0, last: int | None = None) -> None:
        self.figures = {"peak_load": 10, "capacity": 10, "status": True, "state": "serving"}
        self.arrivals_s: list[float] = []
        self.bodies: list[tuple[str | None, bytes]] = []
        self.answered = self.in_flight = 0
        self.refuses, self.hold_s, self.last = refuses, hold_s, last
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, request: Received, connection: socket.socket) -> None:
        """Both ports of the router in one."""
        if request.path == "/topology":
            predictors = {"predict1": {"load": self.in_flight, **self.figures, "port": "9696"}}
            return _send(connection, 200, json.dumps({"topology": "single", "predictors": predictors}).encode())
        with self._lock:
            self.arrivals_s.append(time.time())
            if request.method == "POST":
                self.bodies.append((request.headers.get("content-type"), request.body))
            number, refused = len(self.arrivals_s), self.refuses(self)
            self.in_flight += not refused
        self._wait_for_turn(number)
        if refused:
            _send(connection, 503, SATURATED)
        else:
            self.closing.wait(self.hold_s)
            with self._lock:
                self.in_flight -= 1
            _send(connection, 200, b"{}")
        with self._lock:
            self.answered += 1
        return None

    def arrived(self, after_s: float, until_s: float) -> int:
        """How many requests arrived between these moments (epoch seconds)."""
        return sum(after_s < arrived_s <= until_s for arrived_s in self.arrivals_s)

    def _wait_for_turn(self, number: int) -> None:
        if self.last is not None and number > self.last:
            self.closing.wait()
        elif number == self.last:
            wait_until(lambda: self.answered == number - 1 or self.closing.is_set())


def _send(connection: socket.socket, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} Said\r\nX-Predictor: predict1\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


class Swarm(Process):
    """One Locust process, whose output is one text."""

    def __init__(self, folder: Path, *options: str, cwd: Path = ROOT) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        file = [] if cwd != ROOT else ["-f", "locust/locustfile.py"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
        super().__init__("locust", [sys.executable, "-m", "locust", *file, *options], folder, cwd, env, one_file=True)

    def exit_status(self) -> int:
        """Waits for the end."""
        return self.wait(DEADLINE_S)

    def record(self) -> dict[str, Any]:
        """The first-failure file."""
        return dict(json.loads((self.folder / "first.json").read_text()))

    def rows(self, name: str = "records*.csv") -> list[dict[str, str]]:
        """The records of all its processes."""
        texts = [path.read_text() for path in self.folder.glob(name)]
        return [row for text in texts for row in csv.DictReader(text.splitlines())]


def from_request(number: int) -> Callable[[StubRouter], bool]:
    """Refuses this request and all later ones."""
    return lambda stub: len(stub.arrivals_s) >= number


def headless(router: StubRouter, *options: str, users: int = 60, run_time_s: int = 20) -> list[str]:
    """Options of a bounded run."""
    swarm = ["--headless", "--only-summary", "-u", str(users), "-r", "60", "-t", f"{run_time_s}s"]
    return [*swarm, "--host", router.url, "--admin", router.url, *options]


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
        wait_until(self._is_up, DEADLINE_S)

    def _is_up(self) -> bool:
        try:
            return requests.get(self.url, timeout=5).ok
        except requests.ConnectionError:
            assert self.run.running(), self.run.output()
            return False

    def form(self) -> dict[str, Any]:
        """What the page fills its form with."""
        page = requests.get(self.url, timeout=5).text
        form: dict[str, Any] = json.JSONDecoder().raw_decode(page, page.index("{", page.index("templateArgs")))[0]
        return form

    def press_start(self, router: StubRouter, origin: str | None = None, **fields: Any) -> dict[str, Any]:
        """Fills in the form and presses Start; returns what the page is told."""
        form = {"user_count": 60, "spawn_rate": 60, "host": router.url, "admin": router.url} | fields
        headers = {"Origin": origin or self.url}
        return dict(requests.post(f"{self.url}/swarm", data=form, headers=headers, timeout=5).json())

    def start(self, router: StubRouter, **fields: Any) -> None:
        """Fills in the form, with the checkbox, and presses Start; the run starts, and stops at its first failure."""
        told = self.press_start(router, **{"stop_at_first_failure": "true", "go_on": "0"} | fields)
        assert told["success"], told

    def press_stop(self) -> None:
        """Presses Stop."""
        requests.post(f"{self.url}/stop", timeout=5).raise_for_status()

    def download(self, path: str) -> list[dict[str, str]]:
        """The rows of a CSV file that the page links to."""
        answer = requests.get(f"{self.url}/{path}", timeout=5)
        assert answer.headers["Content-Type"].startswith("text/csv")
        return list(csv.DictReader(answer.text.splitlines()))

    def stats(self) -> dict[str, Any]:
        """What the page polls."""
        return dict(requests.get(f"{self.url}/stats/requests", timeout=5).json())

    def finished_requests(self) -> int:
        """How many requests of the run have ended, as Locust counts them over its workers."""
        return sum(row["num_requests"] for row in self.stats()["stats"] if row["name"] == "Aggregated")

    def failures_noted(self) -> list[str]:
        """The lines of the log."""
        return re.findall(r"First failure after .*", self.run.output())

    def wait_for_stop(self, failures: int) -> None:
        """Waits until the run's failure is noted, as this many-th, and the run has stopped by itself."""
        wait_until(lambda: len(self.failures_noted()) == failures, DEADLINE_S)
        wait_until(lambda: self.stats()["state"] == "stopped", DEADLINE_S)
