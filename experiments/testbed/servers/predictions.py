"""Predictions asked of one server directly, without a router: one at a time, or so many at once."""

import http.client
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from experiments.testbed.servers.probes import Outcome, check_health
from experiments.testbed.signals import StopRequest
from server_file import Place, Server

NO_ANSWER = 0
"""The status of a request that got none."""

AFTER_REFUSAL_S = 0.05
"""One whose prediction was refused asks again after this: a server that is full is not flooded."""

HEALTH_EVERY_S = 0.05
HEALTH_WITHIN_S = 10.0
THREADS_EVERY_S = 0.01


@dataclass(frozen=True)
class Answer:
    """What came of one prediction."""

    status: int
    """HTTP status; NO_ANSWER for none."""
    latency_s: float
    sent_s: float
    """On the monotonic clock."""
    body: bytes = b""

    @property
    def good(self) -> bool:
        """Whether it is one that a client can use: 2xx."""
        return 200 <= self.status < 300

    @property
    def ended_s(self) -> float:
        """When it had come, or could not come any more, on the monotonic clock."""
        return self.sent_s + self.latency_s


class Client:
    """Asks one server over one kept connection, one request at a time."""

    def __init__(self, server: Server, place: Place, deadline_s: float) -> None:
        """`deadline_s`: so long an answer may take. Raises JsonFileError for a header whose variable is not set."""
        self._server = server
        self._headers = server.header_values()
        self._connection = http.client.HTTPConnection(place.host, place.ports[0], timeout=deadline_s)

    def predict(self) -> Answer:
        """Asks for a prediction as the loads do: POST of the payload, or GET without one."""
        server = self._server
        if server.payload is None:
            return self._ask("GET", self._headers)
        return self._ask("POST", {"Content-Type": server.content_type, **self._headers})

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _ask(self, method: str, headers: Mapping[str, str]) -> Answer:
        sent_s = time.monotonic()
        for is_kept in [True] * (self._connection.sock is not None) + [False]:
            try:
                self._connection.request(method, self._server.path, self._server.payload, dict(headers))
                acknowledge_at_once(self._connection.sock)
                response = self._connection.getresponse()
                body = response.read()
                return Answer(response.status, time.monotonic() - sent_s, sent_s, body)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if not is_kept or isinstance(error, TimeoutError):
                    break  # else it may be that the server had closed the idle connection
        return Answer(NO_ANSWER, time.monotonic() - sent_s, sent_s)


def acknowledge_at_once(connection: socket.socket) -> None:
    """Has the next bytes acknowledged without delay, where the system can.

    Who asks again at once is taken for interactive, and acknowledges up to 40 ms late: a server that writes head and
    body of its answer one by one, as http.server does, waits for that with the body (Nagle's algorithm).
    """
    if hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


@dataclass(frozen=True)
class HealthCheck:
    """What came of one health check."""

    outcome: Outcome
    latency_s: float


@dataclass(frozen=True)
class Pace:
    """How long those at once go on, each of which asks again when it has its answer."""

    each: float
    """Each asks for so many predictions, one at least."""
    least_s: float
    """They go on for this long even then."""
    most_s: float
    """After this none is begun any more."""

    def goes_on(self, asked: int, since_s: float) -> bool:
        """Whether one that has asked for so many, the first `since_s` ago, asks for another."""
        return asked == 0 or (since_s < self.most_s and (asked < self.each or since_s < self.least_s))


@dataclass
class Burst:
    """What came of so many predictions at once."""

    at_once: int
    answers: list[Answer] = field(default_factory=list)
    health: list[HealthCheck] = field(default_factory=list)
    """Of health checks meanwhile."""
    ended_s: list[float] = field(default_factory=list)
    """When each of those at once had its last answer, on the monotonic clock."""

    @property
    def asked(self) -> int:
        """How many predictions were asked for."""
        return len(self.answers)

    @property
    def good_s(self) -> list[float]:
        """The latencies of those with a good answer, ascending, in seconds."""
        return sorted(answer.latency_s for answer in self.answers if answer.good)

    @property
    def latency_s(self) -> float | None:
        """Their median; None without one."""
        return median(self.good_s) if self.good_s else None

    @property
    def answers_per_s(self) -> float | None:
        """Good answers per second while all are at once: from the first on, until one of those at once ends.

        A burst begins empty, so its first latencies are short ones. Where fewer than `at_once` come in that time, of a
        server that takes long: per second from the first request to the last answer. None without one.
        """
        came_s = sorted(answer.ended_s for answer in self.answers if answer.good)
        if not came_s:
            return None
        steady_s = [each for each in came_s[1:] if each <= min(self.ended_s, default=math.inf)]
        if len(steady_s) >= self.at_once:
            return len(steady_s) / (steady_s[-1] - came_s[0])
        return len(came_s) / (came_s[-1] - min(answer.sent_s for answer in self.answers))

    @property
    def said(self) -> str:
        """What was answered, and how often, in words."""
        words = [f"{count} x {status or 'no answer'}" for status, count in self.statuses.items()]
        return ", ".join(words)

    @property
    def statuses(self) -> dict[int, int]:
        """Status, NO_ANSWER for none, -> how many had it."""
        return dict(sorted(Counter(answer.status for answer in self.answers).items()))


class Askers:
    """Threads that ask a server for predictions, so many at once, and if wanted for health meanwhile."""

    def __init__(self, server: Server, place: Place, deadline_s: float, at_once: int, pace: Pace) -> None:
        self.burst = Burst(at_once)
        self._server, self._place, self._deadline_s, self._pace = server, place, deadline_s, pace
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, *, and_health: bool = False) -> None:
        """Starts them."""
        tasks: list[Callable[[], None]] = [self._ask] * self.burst.at_once
        for task in [*tasks, *([self._check_health] if and_health else [])]:
            self._threads.append(threading.Thread(target=task, daemon=True))
            self._threads[-1].start()

    def end(self) -> None:
        """Has them begin nothing more."""
        self._over.set()

    def wait(self, stop: StopRequest, within_s: float = math.inf) -> None:
        """Waits until all predictions that were begun have come to something. Raises InterruptedBySignalError."""
        askers = self._threads[: self.burst.at_once]
        stop.wait_until(lambda: not any(thread.is_alive() for thread in askers), within_s, THREADS_EVERY_S)

    def _ask(self) -> None:
        client = Client(self._server, self._place, self._deadline_s)
        asked, begun_s = 0, time.monotonic()
        ended_s = begun_s
        while not self._over.is_set() and self._pace.goes_on(asked, time.monotonic() - begun_s):
            self.burst.answers.append(answer := client.predict())
            asked, ended_s = asked + 1, answer.ended_s
            if not answer.good:
                self._over.wait(AFTER_REFUSAL_S)
        self.burst.ended_s.append(ended_s)
        client.close()

    def _check_health(self) -> None:
        while not self._over.wait(HEALTH_EVERY_S):
            sent_s = time.monotonic()
            outcome = check_health(self._server, self._place.host, self._place.ports[0], HEALTH_WITHIN_S)
            self.burst.health.append(HealthCheck(outcome, time.monotonic() - sent_s))
