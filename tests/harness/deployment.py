"""A router, its topology file and its predictors: what nearly every integration test is about."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.http_client import Answer, Exchange, fetch, try_fetch
from tests.harness.load import ClosedLoop, Load, Questions
from tests.harness.processes import Process, Router
from tests.harness.project import SAMPLE, loads, statuses
from tests.harness.stubs import Script, StubPredictor, answers
from tests.harness.tree import Tree
from tests.harness.waiting import wait_until


@dataclass
class Deployment:
    """A router on a topology file of its own, before stubs in threads or before processes."""

    router: Router
    path: Path
    initial: bytes
    stubs: list[StubPredictor] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    starters: Sequence[Callable[[], Process]] = ()
    questions: Questions | None = None
    ends: ExitStack = field(default_factory=ExitStack)
    own_tree: Tree | None = None

    @property
    def url(self) -> str:
        """The public port's."""
        return self.router.url

    @property
    def tree(self) -> Tree:
        """The copy of the project that the router runs from, where it has one of its own."""
        assert self.own_tree
        return self.own_tree

    def save(self, **variables: object) -> int:
        """Saves router.py with other values, in place as an editor does; returns the last one's line number."""
        return self.tree.save(**variables)

    def wait_for_topology(self, name: str) -> None:
        """Waits until the router has gone over to another topology."""
        wait_until(lambda: self.router.snapshot()["topology"] == name)

    def fetch(self, body: bytes | None = SAMPLE) -> Answer:
        """Asks once for a prediction: by POST, or by GET where the body is None."""
        return fetch(self.url, body=body)

    def fetch_at_once(self, number: int, clients: int | None = None, body: bytes | None = SAMPLE) -> list[Answer]:
        """Asks so many times, by so many clients at once (None: all); a request without an answer gives status 0."""
        with ThreadPoolExecutor(clients or number) as pool:
            return list(pool.map(lambda _: try_fetch(self.url, body), range(number)))

    def load(self, rate_per_s: float = 12.0, longest_s: float = 60.0) -> Load:
        """Clients at a steady rate, whose answers are checked where the right ones are known."""
        return Load(self.url, rate_per_s, longest_s, self.questions)

    def closed_loop(self, clients: int, longest_s: float = 60.0) -> ClosedLoop:
        """Clients who each ask again as soon as they are answered, likewise."""
        return ClosedLoop(self.url, self.questions, clients, longest_s)

    def statuses(self) -> list[bool]:
        """Every predictor's status as the file shows it now."""
        return statuses(self.path)

    def loads(self) -> list[int]:
        """Every predictor's load as the file shows it now."""
        return loads(self.path)

    def wait_until_initial(self) -> None:
        """Waits until nothing is in flight, and the file has its initial text."""
        wait_until(lambda: self.path.read_bytes() == self.initial)
        wait_until(lambda: set(self.router.loads()) == {0})

    # Predictors that are stubs

    @property
    def received(self) -> list[int]:
        """How many requests to predict each stub has got."""
        return [len(stub.received) for stub in self.stubs]

    @property
    def held(self) -> list[int]:
        """How many requests each stub holds."""
        return [stub.held for stub in self.stubs]

    def set(self, script: Script, *which: int) -> None:
        """Has these stubs do this; all of them where none is named."""
        for index in which or range(len(self.stubs)):
            self.stubs[index].script = script

    def hold(self, number: int, body: bytes | None = None) -> list[Exchange]:
        """Sends further requests that the stubs hold, and waits until all have arrived."""
        self.hold_all()
        expected = sum(self.held) + number
        sent = self.send(number, body)
        wait_until(lambda: sum(self.held) == expected)
        return sent

    def send(self, number: int, body: bytes | None = None) -> list[Exchange]:
        """Sends requests without waiting for anything."""
        sent = [Exchange(self.url, "/predict", body, None) for _ in range(number)]
        for exchange in sent:
            self.ends.callback(exchange.close)
        return sent

    def hold_all(self) -> None:
        """Has the stubs hold what comes from now on."""
        for stub in self.stubs:
            stub.holding = True

    def release_held(self) -> None:
        """Has the stubs answer what they hold, and hold nothing more."""
        for stub in self.stubs:
            stub.release_held()

    def assert_nobody_ejected(self) -> None:
        """Checks that all predictors have been in rotation all the time, and none has a request."""
        assert [event for event in self.router.snapshot()["events"] if event["predictor"]] == []
        assert set(self.router.predictors("state")) == {"serving"}
        assert set(self.router.loads()) == {0}

    def assert_serves(self, script: Script | None = None) -> None:
        """Has every stub answer well, and checks that each of them serves, with nothing left in flight or printed."""
        self.set(script or answers())
        wait_until(lambda: set(self.router.predictors("state")) == {"serving"})
        heard = [self.fetch() for _ in self.stubs]
        assert all(answer.is_whole for answer in heard)
        assert {answer.predictor for answer in heard} == {stub.name for stub in self.stubs}
        wait_until(lambda: set(self.router.loads()) == {0} == set(self.loads()))
        assert "Traceback" not in self.router.errors()

    # Predictors that are processes

    def restart(self, *indices: int) -> None:
        """Starts these predictors again, and waits until they serve."""
        for index in indices:
            self.processes[index] = self.starters[index]()
        for index in indices:
            self.processes[index].addresses(1)
