"""Clients under load: at a steady rate or one request after the other, and whether each got its own answer."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle
from typing import Any

from tests.harness.http_client import ANSWER_DEADLINE_S, Answer, KeptConnection, fetch, try_fetch
from tests.harness.project import SAMPLE
from tests.harness.waiting import Background

SERVICE_TIME_S = 0.2
CAPACITY = 10
VARIANTS = 60


class Questions:
    """Requests whose right answers are known: GET and POST in turn, the POSTs' records differ in one measurement."""

    def __init__(self, predictor_url: str | None = None) -> None:
        """Asks the predictor itself for the right answers; without one, only echoes are right."""
        record = json.loads(SAMPLE)
        self._bodies = [json.dumps(record | {"worst radius": 10 + 0.2 * n}).encode() for n in range(VARIANTS)]
        self._number = count()
        self._known: dict[bytes | None, Any] = {}
        if predictor_url is not None:
            bodies = [None, *self._bodies]
            with ThreadPoolExecutor(CAPACITY) as pool:
                known = pool.map(lambda body: nameless(fetch(predictor_url, body=body)), bodies)
            self._known = dict(zip(bodies, known, strict=True))
            assert len({json.dumps(known) for known in self._known.values()}) > VARIANTS  # no two alike

    def next(self) -> bytes | None:
        """Returns the next request's body, None for GET: GET and POST in turn, one body once in 60 POSTs."""
        number = next(self._number)
        return None if number % 2 else self._bodies[number // 2 % VARIANTS]

    def is_right(self, question: bytes | None, answer: Answer) -> bool:
        """Whether this is the answer to this request, and not to another one."""
        said = nameless(answer)
        return bool(said == {"echo": (question or b"").decode()} or said == self._known.get(question, "unknown"))


def nameless(answer: Answer) -> Any:
    """What the answer says, without who says it."""
    return {key: value for key, value in answer.json().items() if key != "predictor"}


class Load(Background):
    """Requests at a steady rate, GET and POST in turn, until the block ends; with questions each answer is checked."""

    def __init__(
        self,
        url: str,
        rate_per_s: float = 12.0,
        longest_s: float = 60.0,
        questions: Questions | None = None,
        silent_s: float = ANSWER_DEADLINE_S,
    ) -> None:
        """`silent_s` is how long a client waits for a connection, and then for its answer."""
        super().__init__()
        self.answers: list[Answer] = []
        self._url, self._questions, self._silent_s = url, questions, silent_s
        self._period_s, self._longest_s = 1 / rate_per_s, longest_s
        self._wrong: list[Answer] = []
        self._plain = cycle((None, SAMPLE))

    def good(self) -> list[Answer]:
        """Every answer of 200."""
        return [answer for answer in self.answers.copy() if answer.status == 200]

    def lost(self) -> list[Answer]:
        """Every answer but 200, and every request without one."""
        return [answer for answer in self.answers.copy() if answer.status != 200]

    def wrong(self) -> list[Answer]:
        """Good answers that belong to another request."""
        assert self._questions
        assert self.good()
        return self._wrong

    def answered_by(self, predictor: str, since_s: float = 0.0) -> list[Answer]:
        """The good answers of this predictor to requests sent at or after a monotonic time."""
        return [answer for answer in self.good() if answer.predictor == predictor and answer.sent_at_s >= since_s]

    def slowest_s(self) -> float:
        """The most that any good answer took."""
        return max(answer.took_s for answer in self.good())

    def _work(self) -> None:
        due_s = time.monotonic()
        end_s = due_s + self._longest_s
        with ThreadPoolExecutor(64) as pool:
            while not self._ended.wait(max(0.0, due_s - time.monotonic())) and due_s < end_s:
                due_s += self._period_s
                pool.submit(self._send, self._questions.next() if self._questions else next(self._plain))

    def _send(self, question: bytes | None) -> Answer:
        answer = self._ask(question)
        if self._questions and answer.status == 200 and not self._questions.is_right(question, answer):
            self._wrong.append(answer)
        self.answers.append(answer)
        return answer

    def _ask(self, question: bytes | None) -> Answer:
        return try_fetch(self._url, question, self._silent_s)


class KeptLoad(Load):
    """Clients who each keep a connection and ask at a steady pace; `cut` counts connections that ended on them."""

    def __init__(self, url: str, clients: int, pause_s: float = 0.05, longest_s: float = 60.0) -> None:
        super().__init__(url, longest_s=longest_s)
        self._kept = [KeptConnection(url) for _ in range(clients)]
        self._pause_s = pause_s

    @property
    def cut(self) -> int:
        """How often a kept connection ended without an answer, and its client had to repeat."""
        return sum(kept.cut for kept in self._kept)

    @property
    def told_to_close(self) -> int:
        """How often an answer said that its connection ends."""
        return sum(kept.told_to_close for kept in self._kept)

    def _work(self) -> None:
        end_s = time.monotonic() + self._longest_s
        with ThreadPoolExecutor(len(self._kept)) as pool:
            list(pool.map(lambda kept: self._ask_on(kept, end_s), self._kept))

    def _ask_on(self, kept: KeptConnection, end_s: float) -> None:
        while not self._ended.wait(self._pause_s) and time.monotonic() < end_s:
            self.answers.append(kept.fetch())
        kept.close()


class ClosedLoop(Load):
    """Clients who each ask again as soon as they are answered: so many requests in flight, never more, at any pace."""

    def __init__(self, url: str, questions: Questions | None, clients: int, longest_s: float = 60.0) -> None:
        super().__init__(url, longest_s=longest_s, questions=questions)
        self._clients = clients

    def _work(self) -> None:
        end_s = time.monotonic() + self._longest_s
        with ThreadPoolExecutor(self._clients) as pool:
            for _ in range(self._clients):
                pool.submit(self._fetch_on, end_s)

    def _fetch_on(self, end_s: float) -> None:
        while not self._ended.is_set() and time.monotonic() < end_s:
            answer = self._send(self._questions.next() if self._questions else None)
            if answer.status != 200:
                self._ended.wait(0.01)  # who is refused at once must not keep the machine busy
