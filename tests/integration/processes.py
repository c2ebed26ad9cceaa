"""What the integration tests run and ask: routers and predictors as real processes, clients on real sockets.

The stub predictor is in stub_predictor.py, the fixtures are in conftest.py.
"""

import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from tests.integration.background import Background
from tests.integration.stub_predictor import StubPredictor, answers

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = (ROOT / "predictors" / "sample.json").read_bytes()
JSON_TYPE = {"Content-Type": "application/json"}
START_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 25.0
STOP_DEADLINE_S = 20.0
FIRST_POLL_S, LONGEST_POLL_S = 0.005, 0.05
POSTS_PORTS = ("9696", "9697", "9698")

T = TypeVar("T")


def wait_until(condition: Callable[[], T], deadline_s: float = 20.0) -> T:
    """Ask until `condition` gives something true, and return it; AssertionError after `deadline_s` seconds.

    The longer it takes, the less often it asks: most conditions are a request to the router that is under test.
    """
    end_s, pause_s = time.monotonic() + deadline_s, FIRST_POLL_S
    while not (result := condition()):
        assert time.monotonic() < end_s, f"not so within {deadline_s:g} s; at last: {result!r}"
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_POLL_S)
    return result


def best_of(tries: int, measure: Callable[[], float]) -> float:
    """The least of several measurements: what the program takes, without what the busy machine adds."""
    return min(measure() for _ in range(tries))


class Process:
    """A child in a process group of its own; what it prints goes to files."""

    _number = count()

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        base = folder / f"{name}-{next(self._number)}"
        self.name = name
        self._out, self._err = base.with_suffix(".out"), base.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self._child = subprocess.Popen(command, cwd="/", stdout=out, stderr=err, start_new_session=True)
        self.pid = self._child.pid

    def addresses(self, wanted: int) -> list[str]:
        """Wait until it serves on this many addresses, and return them."""

        def printed() -> list[str]:
            assert self._child.poll() is None, f"{self.name} ended at its start: {self.errors()}"
            lines = [line for line in self.output().splitlines(keepends=True) if "serving on http" in line]
            found = [line.split()[-1].strip('"}') for line in lines if line.endswith("\n")]
            return found if len(found) == wanted else []

        return wait_until(printed, START_DEADLINE_S)

    def output(self) -> str:
        """What it has printed on stdout."""
        return self._out.read_text()

    def errors(self) -> str:
        """What it has printed on stderr."""
        return self._err.read_text()

    def signal(self, signum: signal.Signals) -> None:
        """Send the signal to its whole group."""
        os.killpg(self.pid, signum)

    def wait(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        """Wait for its end; returns the exit status."""
        return self._child.wait(deadline_s)

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._child.poll() is None

    def stop(self) -> int:
        """End it politely; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End its group surely; no error if it has ended."""
        if self.running():
            with suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            self.wait()


class Router(Process):
    """A running router on free ports."""

    def __init__(self, folder: Path, options: list[str], tree: Path = ROOT) -> None:
        command = [sys.executable, str(tree / "router.py"), "--port", "0", "--admin-port", "0", *options]
        super().__init__("router", command, folder)
        try:
            self.url, self.admin_url = self.addresses(2)
        except BaseException:
            self.kill()
            raise

    def picture(self) -> dict[str, Any]:
        """GET /topology of the admin port."""
        picture: dict[str, Any] = ask(self.admin_url, "/topology").json()
        return picture

    def predictors(self, field: str) -> list[Any]:
        """One field of every predictor, in the topology's order, from the admin port."""
        return [predictor[field] for _, predictor in sorted(self.picture()["predictors"].items())]

    def loads(self) -> list[int]:
        """Every predictor's load, from the admin port."""
        return self.predictors("load")

    def events(self, predictor: str) -> list[str]:
        """The predictor's events so far, oldest first."""
        return [event["event"] for event in self.picture()["events"] if event["predictor"] == predictor]

    def event_time_s(self, predictor: str, kind: str) -> float:
        """Wait for an event of this kind; returns the epoch time of the first."""

        def times() -> list[float]:
            events = self.picture()["events"]
            return [e["time"] for e in events if (e["predictor"], e["event"]) == (predictor, kind)]

        return wait_until(times)[0]

    def order(self, predictor: str, order: str) -> "Answer":
        """POST drain or ready for this predictor to the admin port."""
        return ask(self.admin_url, f"/predictors/{predictor}/{order}", body=b"")


def run_router(*arguments: str, tree: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run a router that is expected to end by itself."""
    command = [sys.executable, str(tree / "router.py"), *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=START_DEADLINE_S)


def statuses(path: Path) -> list[bool]:
    """Every predictor's status as the topology file shows it now."""
    return [entry["status"] for entry in json.loads(path.read_bytes()).values()]


def loads(path: Path) -> list[int]:
    """Every predictor's load as the topology file shows it now."""
    return [entry["load"] for entry in json.loads(path.read_bytes()).values()]


def side_files(path: Path) -> list[str]:
    """What lies beside the topology file and is no topology file itself."""
    return [found.name for found in path.parent.iterdir() if found.suffix != ".json" or found.name[0] == "."]


def assert_mistake(ended: "subprocess.CompletedProcess[str]", *parts: str) -> None:
    """Check for a user's mistake: exit status 2, never served, one line on stderr that holds `parts`."""
    assert ended.returncode == 2, ended.stderr
    assert "serving on" not in ended.stdout
    assert ended.stderr.startswith("router: ")
    assert ended.stderr.endswith("\n")
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert [part for part in parts if part not in ended.stderr] == [], ended.stderr


class Answer(NamedTuple):
    """An answer, or status 0 and the error's name as body where none came; times are monotonic seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent_at_s: float
    took_s: float

    @property
    def predictor(self) -> str:
        """Who answered, as the router says; empty if it says nobody."""
        return self.headers.get("x-predictor", "")

    def json(self) -> Any:
        """The body as JSON, which it must declare to be."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


class Exchange:
    """A request on a connection of its own: sent at once, its answer read when asked for."""

    def __init__(self, url: str, path: str, body: bytes | None, headers: dict[str, str] | None) -> None:
        """Send GET, or POST where there is a body. Raises OSError when the connection is refused."""
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_DEADLINE_S)
        self.sent_at_s = time.monotonic()
        sent = JSON_TYPE if headers is None and body is not None else headers or {}
        try:
            self._connection.request("GET" if body is None else "POST", path, body, sent)
        except BaseException:
            self._connection.close()
            raise

    def answered(self) -> bool:
        """Whether an answer, or the connection's end, has begun to arrive."""
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def answer(self) -> Answer:
        """Wait for the whole answer; raises OSError or HTTPException when none comes."""
        try:
            response = self._connection.getresponse()
            body = response.read()
        finally:
            self._connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body, self.sent_at_s, time.monotonic() - self.sent_at_s)

    def close(self) -> None:
        """Close the connection, answered or not."""
        self._connection.close()


def ask(url: str, path: str = "/predict", body: bytes | None = None, **headers: str) -> Answer:
    """Send GET, or POST where there is a body, and return the answer; `_` in a header's name stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(url, path, body, named or None).answer()


class Load(Background):
    """Requests at a steady rate, GET and POST in turn, each on its own connection, until the block ends."""

    def __init__(self, url: str, rate_per_s: float = 12.0, longest_s: float = 30.0) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self._url = url
        self._period_s = 1 / rate_per_s
        self._end_s = time.monotonic() + longest_s

    def lost(self) -> list[Answer]:
        """Every answer but 200, and every request without one."""
        return [answer for answer in self.answers.copy() if answer.status != 200]

    def answered_by(self, predictor: str, since_s: float = 0.0) -> list[Answer]:
        """The good answers of this predictor to requests sent at or after a monotonic time."""
        answers = self.answers.copy()
        return [a for a in answers if (a.status, a.predictor) == (200, predictor) and a.sent_at_s >= since_s]

    def _work(self) -> None:
        with ThreadPoolExecutor(64) as pool:
            due_s = time.monotonic()
            for body in cycle((None, SAMPLE)):
                if self._ended.wait(max(0.0, due_s - time.monotonic())) or due_s > self._end_s:
                    return
                due_s += self._period_s
                pool.submit(self._send, body)

    def _send(self, body: bytes | None) -> None:
        start_s = time.monotonic()
        try:
            answer = ask(self._url, body=body)
        except (OSError, http.client.HTTPException) as error:
            text = type(error).__name__.encode()
            answer = Answer(0, {}, text, start_s, time.monotonic() - start_s)
        self.answers.append(answer)


@dataclass
class Stage:
    """Starts what one test (or module) needs in `folder`, and surely ends all of it."""

    folder: Path

    def __post_init__(self) -> None:
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def reserve_port(self) -> int:
        """Return a port that nobody else is given until the end, though a process of ours may serve on it."""
        holder = self._ends.enter_context(socket.socket())
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        return port

    def stubs(self, number: int, service_time_s: float = 0.0) -> list[StubPredictor]:
        """Start stub predictors: predict1, predict2, ..., which take this long for each answer."""
        made = [StubPredictor(f"predict{index + 1}", self.reserve_port()) for index in range(number)]
        for stub in made:
            stub.script = answers(delay_s=service_time_s)
            self._ends.callback(stub.close)
        return made

    def predictor(self, name: str, port: int, service_time_s: float, *options: str) -> Process:
        """Start a real predictor; it serves once `addresses(1)` returns."""
        script = str(ROOT / "predictors" / f"{name}.py")
        settings = ["--port", str(port), "--service-time", str(service_time_s), *options]
        process = Process(name, [sys.executable, script, *settings], self.folder)
        self._ends.callback(process.kill)
        return process

    def predictors(self, ports: list[int], service_time_s: float) -> list[Process]:
        """Start the real predictors predict1, predict2, ... and wait until they serve."""
        numbered = enumerate(ports, start=1)
        started = [self.predictor(f"predict{number}", port, service_time_s) for number, port in numbered]
        for process in started:
            process.addresses(1)
        return started

    def topology(self, name: str, ports: list[int], folder: Path | None = None) -> Path:
        """Copy the project's topology file of this name, with these ports, into a new folder of the test."""
        text = (ROOT / "topology" / f"{name}.json").read_text()
        for posts, own in zip(POSTS_PORTS, ports, strict=False):
            text = text.replace(f'"{posts}"', f'"{own}"')
        path = (folder or Path(tempfile.mkdtemp(dir=self.folder))) / f"{name}.json"
        path.write_text(text)
        return path

    def tree(self, ports: list[int]) -> Path:
        """Copy the router with all it needs, its topology files with these ports; returns the copy's folder."""
        tree = self.folder / "tree"
        for part in ("routing", "serving", "topology", "predictors"):
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for program in ("router.py", "cli.py"):
            shutil.copy(ROOT / program, tree)
        for name in ("single", "2active", "3active"):
            self.topology(name, ports, tree / "topology")
        return tree

    def router(self, topology: Path | None, *options: str, tree: Path = ROOT) -> Router:
        """Start a router on this topology file, or on what its own variable says."""
        selected = [] if topology is None else ["--topology", str(topology)]
        router = Router(self.folder, [*selected, *options], tree)
        self._ends.callback(router.kill)
        return router

    def hold(self, router: Router, number: int, body: bytes | None = None) -> list[Exchange]:
        """Send requests without waiting for their answers."""
        sent = [Exchange(router.url, "/predict", body, None) for _ in range(number)]
        for exchange in sent:
            self._ends.callback(exchange.close)
        return sent
