"""Steady load: users that each send seldom, at moments fixed beforehand, so that an outage does not silence the load.

A user that waits for its answer before it sends again offers nothing while a server hangs (coordinated omission).
Here each of the rate times the pacing many users has its own random offset in a pacing longer than any outage, and
every request's record has when it was due and when it was sent.
"""

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import requests
from gevent.event import AsyncResult
from locust import task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from prediction import prediction_of
from request_records import CsvFile
from server_option import server_option
from swarm import Prediction, RouterUser, connect, register, request_outcome, swarm_options

ANSWER_TIMEOUT_S = 15.0  # beyond the router's own deadline: only a router that hangs meets it
NEVER_S = 86_400.0
POLL_INTERVAL_S = 0.02
OVERSIZE_BYTES = 2**30  # the post's image of 1 GB
CHUNK = bytes(64 * 1024)
KINDS = ("normal", "more", "surge", "saturation", "oversize")
COLUMNS = ("due_at_s", "sent_at_s", "latency_s", "kind", "status", "reason", "predictor")


class Schedule:
    """When this swarm's users send: each at an offset of its own in the pacing, from the moment that a file names."""

    def __init__(self, options: Any) -> None:
        self.pacing_s: float = options.pacing
        self._start: AsyncResult[float] = AsyncResult()
        self._duration_s: float = options.duration
        self._random = random.Random(options.schedule_seed)
        gevent.spawn(self._await_start, Path(options.go))

    def first_due_s(self) -> float:
        """Returns a new user's first moment (epoch seconds), uniform over one pacing; waits for the start."""
        return self._start_s() + self._random.uniform(0.0, self.pacing_s)

    def is_over(self, due_s: float) -> bool:
        """Returns whether this moment (epoch seconds) lies after the end."""
        return due_s >= self._start_s() + self._duration_s

    def _start_s(self) -> float:
        return float(self._start.get() or 0.0)

    def _await_start(self, go: Path) -> None:
        while not go.is_file():
            gevent.sleep(POLL_INTERVAL_S)
        self._start.set(float(go.read_text(encoding="utf-8")))


class SteadyUser(RouterUser):
    """One client: sends at its moment, once per pacing, over a connection of its own; never early, never twice."""

    schedule: Schedule
    prediction: Prediction
    due_s: Any = None  # epoch seconds; unknown until the start

    def wait_time(self) -> float:
        """Returns the seconds until the next moment. Locust calls this between tasks."""
        if self.due_s is None:
            self.due_s = self.schedule.first_due_s()
        if self.schedule.is_over(self.due_s):
            return NEVER_S
        return max(0.0, float(self.due_s) - time.time())

    @task
    def predict(self) -> None:
        """Sends what is due."""
        if self.due_s is None or time.time() < self.due_s or self.schedule.is_over(self.due_s):
            return
        kind = swarm_options(self.environment).kind
        context = {"due_at_s": self.due_s, "kind": kind}
        self.due_s += self.schedule.pacing_s
        self.request_prediction(self.prediction, ANSWER_TIMEOUT_S, context)


def prediction_of_kind(kind: str, server: str | None) -> Prediction:
    """Returns the request that is sent: a server file's, on a connection of its own. Raises ArgumentTypeError.

    An oversize one is announced with a body of 1 GiB, and has it, if a server reads it to its end.
    """
    prediction = prediction_of(server, None)
    prediction = prediction._replace(headers=(*prediction.headers, ("Connection", "close")))
    return prediction._replace(body=Zeros(OVERSIZE_BYTES)) if kind == "oversize" else prediction


class Zeros:
    """`size` zero bytes in chunks: requests announces the length, where a generator would be sent chunked."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(CHUNK, self._size // len(CHUNK))


class SteadyRecorder:
    """One CSV row per request that finished: when it was due, when it was sent, and what became of it.

    The file appears once every user is there: the sign that the swarm is ready.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: CsvFile | None = None

    def on_spawning_complete(self, **_: Any) -> None:
        """Opens the file."""
        self._file = CsvFile(self._path, COLUMNS)

    def on_request(self, response: requests.Response, exception: Exception | None, **event: Any) -> None:
        """Adds the row of a request that ended."""
        context = event["context"]
        times = (context["due_at_s"], event["start_time"], event["response_time"] / 1000)
        outcome = request_outcome(exception, response)
        if self._file is not None:
            self._file.add((*(f"{each:.6f}" for each in times), context["kind"], *outcome))


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Adds the options of the steady load; the number of users is Locust's own --users."""
    add = parser.add_argument
    add("--pacing", type=float, default=20.0, metavar="<s>", help="Each user sends once in this time")
    add("--duration", type=float, default=NEVER_S, metavar="<s>", help="Nothing is due this long after the start")
    add("--kind", choices=KINDS, default="normal", help="What is sent, for the records")
    add(
        "--server", type=server_option, metavar="<file>", help="A server file, whose request is sent; else GET /predict"
    )
    add("--schedule-seed", type=int, default=1, metavar="<n>", help="Seed of the users' places in the pacing")
    add("--go", required=True, metavar="<file>", help="Start at the epoch second that this file will hold")
    add("--records", required=True, metavar="<file>", help="Write one CSV row per finished request here")


def on_init(environment: Environment, **_: Any) -> None:
    """Sets up the schedule, the request and the records."""
    options = swarm_options(environment)
    SteadyUser.prediction = prediction_of_kind(options.kind, options.server)
    SteadyUser.schedule = Schedule(options)
    connect(environment, SteadyRecorder(Path(options.records)))


register(add_options, on_init)
