"""What the fault tests share: rigs whose predictors are processes, and clients who know each request's right answer.

Measured figures go through `record` of figures.py; faults that need raw bytes are not here.
"""

import http.client
import json
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.harness.processes import ROOT, SAMPLE, Answer, Load, Process, Router, Stage, ask, wait_until

SERVICE_TIME_S = 0.2
CAPACITY = 10
HOLD_DOWN_S = 1.0
VARIANTS = 60


class Rig(NamedTuple):
    """A router on a topology file of its own, and its predictors as processes."""

    router: Router
    path: Path
    initial: bytes
    ports: list[int]
    predictors: list[Process]
    quiz: "Quiz"


def real_rig(stage: Stage) -> Rig:
    """Start real predictors on 2active (service time 0.2 s), and a router with a hold-down of 1 s."""
    ports = [stage.reserve_port() for _ in range(3)]
    predictors = stage.predictors(ports, SERVICE_TIME_S)
    return rig_before(stage, ports, predictors, Quiz(predictors[0].addresses(1)[0]))


def echo_rig(stage: Stage, hold_down_s: float = HOLD_DOWN_S) -> Rig:
    """The same with stubs in processes of their own: for faults that any process meets alike, model or not."""
    ports = [stage.reserve_port() for _ in range(3)]
    predictors = echo_processes(stage, ports)
    return rig_before(stage, ports, predictors, Quiz(None), hold_down_s)


def rig_before(
    stage: Stage, ports: list[int], predictors: list[Process], quiz: "Quiz", hold_down_s: float = HOLD_DOWN_S
) -> Rig:
    """Start a router on 2active before these predictors."""
    path = stage.topology("2active", ports)
    initial = path.read_bytes()
    return Rig(stage.router(path, "--hold-down", str(hold_down_s)), path, initial, ports, predictors, quiz)


def echo_processes(stage: Stage, ports: list[int], service_time_s: float = SERVICE_TIME_S) -> list[Process]:
    """Start predict1, predict2, ... as `echo_process` does, and wait until they serve."""
    numbered = enumerate(ports, start=1)
    started = [echo_process(stage, f"predict{number}", port, service_time_s) for number, port in numbered]
    for process in started:
        process.addresses(1)
    return started


def echo_process(stage: Stage, name: str, port: int, service_time_s: float = SERVICE_TIME_S) -> Process:
    """Start a stub predictor in a process of its own; it serves once `addresses(1)` returns."""
    script = str(ROOT / "tests" / "harness" / "echo_process.py")
    process = Process(name, [sys.executable, script, name, str(port), str(service_time_s)], stage.folder)
    stage._ends.callback(process.kill)
    return process


def at_rest(rig: Rig) -> None:
    """Wait until every predictor is as planned, nothing is in flight, and the file has its initial text."""
    wait_until(lambda: rig.path.read_bytes() == rig.initial)
    wait_until(lambda: rig.router.loads() == [0] * len(rig.ports))


class Quiz:
    """Requests whose right answers are known: GET, and POSTs whose records differ in one measurement."""

    def __init__(self, predictor_url: str | None) -> None:
        """Ask the predictor itself for the right answers; without one, only echoes can be right."""
        record = json.loads(SAMPLE)
        self._bodies = [json.dumps(record | {"worst radius": 10 + 0.2 * n}).encode() for n in range(VARIANTS)]
        self._number = count()
        self._known: dict[bytes, Any] = {}
        if predictor_url is not None:
            self._known = {body: nameless(ask(predictor_url, body=body)) for body in [SAMPLE, *self._bodies]}
            assert len({json.dumps(known) for known in self._known.values()}) > VARIANTS  # no two alike

    def next(self) -> bytes | None:
        """Return the next request's body, None for GET: GET and POST in turn, one body once in 60 POSTs."""
        number = next(self._number)
        return None if number % 2 else self._bodies[number // 2 % VARIANTS]

    def is_right(self, question: bytes | None, answer: Answer) -> bool:
        """Whether this is the answer to this request, and not to another one."""
        body = question or SAMPLE  # the router's own body for a GET
        said = nameless(answer)
        return bool(said == {"echo": body.decode()} or said == self._known.get(body, "unknown"))


def nameless(answer: Answer) -> Any:
    """What the answer says, without who says it."""
    return {key: value for key, value in answer.json().items() if key != "predictor"}


def try_to_ask(url: str, body: bytes | None) -> Answer:
    """Ask; a request without an answer gives status 0 and the error's name as the body."""
    start_s = time.monotonic()
    try:
        return ask(url, body=body)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {}, type(error).__name__.encode(), start_s, time.monotonic() - start_s)


class QuizLoad(Load):
    """A steady load that checks each answer against its own request."""

    def __init__(self, rig: Rig, rate_per_s: float = 12.0, longest_s: float = 60.0) -> None:
        super().__init__(rig.router.url, rate_per_s, longest_s)
        self._quiz = rig.quiz
        self._wrong: list[Answer] = []
        self._checked = 0

    def wrong(self) -> list[Answer]:
        """Good answers that belong to another request."""
        assert self._checked
        return self._wrong

    def worst_added_wait_s(self) -> float:
        """The most that any good answer took beyond the service time."""
        return max(answer.took_s for answer in self.answers.copy() if answer.status == 200) - SERVICE_TIME_S

    def _send(self, _: bytes | None) -> None:
        question = self._quiz.next()
        answer = try_to_ask(self._url, question)
        if answer.status == 200:
            self._checked += 1
            if not self._quiz.is_right(question, answer):
                self._wrong.append(answer)
        self.answers.append(answer)


class Good(NamedTuple):
    """A good answer, without its body; times are monotonic seconds."""

    predictor: str
    sent_at_s: float
    took_s: float


class Crowd:
    """Clients who each ask again as soon as they are answered, until the block ends.

    So many requests are always in flight, never more: a share of the capacity that no stall of the machine exceeds.
    """

    def __init__(self, url: str, quiz: Quiz, number: int, longest_s: float = 60.0) -> None:
        self.good: list[Good] = []
        self.lost: list[Answer] = []
        self.wrong: list[Answer] = []
        self._url, self._quiz = url, quiz
        self._end_s = time.monotonic() + longest_s
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def answered_by(self, predictor: str, since_s: float = 0.0) -> list[Good]:
        """The good answers of this predictor to requests sent at or after a monotonic time."""
        return [good for good in self.good.copy() if good.predictor == predictor and good.sent_at_s >= since_s]

    def _ask_on(self) -> None:
        while not self._stop.is_set() and time.monotonic() < self._end_s:
            question = self._quiz.next()
            answer = try_to_ask(self._url, question)
            if answer.status != 200:
                self.lost.append(answer)
                self._stop.wait(0.01)  # who is refused at once must not keep the machine busy
            elif not self._quiz.is_right(question, answer):
                self.wrong.append(answer)
            else:
                self.good.append(Good(answer.predictor, answer.sent_at_s, answer.took_s))
