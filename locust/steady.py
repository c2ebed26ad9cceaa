"""Steady load: users that each send seldom, at moments fixed beforehand, so that an outage does not silence the load.

A user that waits for its answer before it sends again offers nothing while a server hangs (coordinated omission).
Here each of the rate times the pacing many users has its own random place in a pacing longer than any outage, and
every request's record says when it was due and when it was sent.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gevent
import requests
from gevent.event import AsyncResult
from locust import HttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from admin_client import one_line
from csv_file import RowFile
from first_failure import failure_cause, refusal_reason, swarm_options

ANSWER_TIMEOUT_S = 15.0  # beyond the router's own deadline: only a router that hangs meets it
NEVER_S = 86_400.0
LOOK_EVERY_S = 0.02
OVERSIZE_BYTES = 2**30  # the post's image of 1 GB
CHUNK = bytes(64 * 1024)
COLUMNS = ("due_at_s", "sent_at_s", "latency_s", "kind", "status", "reason", "predictor")


class Timetable:
    """When this swarm's users send: each at a place of its own in the pacing, from the moment that a file names."""

    def __init__(self, options: Any) -> None:
        self.pacing_s: float = options.pacing
        self._start: AsyncResult[float] = AsyncResult()
        self._last_s: float = options.duration
        self._places = random.Random(options.schedule_seed)
        gevent.spawn(self._await_start, Path(options.go))

    def first_due_s(self) -> float:
        """A new user's first moment (epoch seconds), drawn evenly from one pacing; waits for the start."""
        return self._start_s() + self._places.uniform(0.0, self.pacing_s)

    def is_over(self, due_s: float) -> bool:
        """Whether this moment lies after the end."""
        return due_s >= self._start_s() + self._last_s

    def _start_s(self) -> float:
        return float(self._start.get() or 0.0)

    def _await_start(self, go: Path) -> None:
        while not go.is_file():
            gevent.sleep(LOOK_EVERY_S)
        self._start.set(float(go.read_text(encoding="utf-8")))


class SteadyUser(HttpUser):
    """One client: sends at its moment, once per pacing, over a connection of its own; never early, never twice."""

    host = "http://127.0.0.1:8000"
    due_s: Any = None  # epoch seconds; unknown until the start

    def wait_time(self) -> float:
        """Until the next moment. Locust calls this between tasks."""
        if self.due_s is None:
            self.due_s = timetable().first_due_s()
        if timetable().is_over(self.due_s):
            return NEVER_S
        return max(0.0, float(self.due_s) - time.time())

    @task
    def predict(self) -> None:
        """Send what is due; a refusal is a failure that names its reason."""
        if self.due_s is None or time.time() < self.due_s or timetable().is_over(self.due_s):
            return
        kind = swarm_options(self.environment).kind
        context = {"due_at_s": self.due_s, "kind": kind}
        self.due_s += timetable().pacing_s
        what: dict[str, Any] = oversize() if kind == "oversize" else {"method": "GET", "headers": {}}
        what["headers"]["Connection"] = "close"
        sent = self.client.request(
            url="/predict", timeout=ANSWER_TIMEOUT_S, catch_response=True, context=context, **what
        )
        with sent as answer:
            if answer.status_code >= HTTPStatus.BAD_REQUEST:
                answer.failure(f"{answer.status_code} {refusal_reason(answer)}")


def oversize() -> dict[str, Any]:
    """A request whose body says that it is 1 GiB long, and would be, if anybody read it to its end."""
    return {"method": "POST", "headers": {"Content-Type": "application/json"}, "data": Zeros(OVERSIZE_BYTES)}


class Zeros:
    """`size` zero bytes, piece by piece: requests announces the length, where a generator would be sent in chunks."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(CHUNK, self._size // len(CHUNK))


class Records:
    """One CSV row per request that finished: when it was due, when it was sent, and what became of it."""

    def __init__(self, path: Path) -> None:
        self._rows = RowFile(path, COLUMNS)

    def on_request(
        self,
        response_time: float,
        response: requests.Response,
        exception: Exception | None,
        start_time: float,
        context: dict[str, Any],
        **_: Any,
    ) -> None:
        """A request ended: add its row."""
        times = (context["due_at_s"], start_time, response_time / 1000)
        cause = failure_cause(exception, response) if exception else ""
        predictor = one_line(response.headers.get("X-Predictor", ""))
        self._rows.add((*(f"{each:.6f}" for each in times), context["kind"], response.status_code, cause, predictor))


_timetables: list[Timetable] = []


def timetable() -> Timetable:
    """This run's timetable."""
    return _timetables[-1]


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """The options of the steady load; the number of users is Locust's own --users."""
    add = parser.add_argument
    add("--pacing", type=float, default=20.0, metavar="<s>", help="Each user sends once in this time")
    add("--duration", type=float, default=NEVER_S, metavar="<s>", help="Nothing is due this long after the start")
    add("--kind", choices=("normal", "surge", "oversize"), default="normal", help="What is sent, for the records")
    add("--schedule-seed", type=int, default=1, metavar="<n>", help="Seed of the users' places in the pacing")
    add("--go", required=True, metavar="<file>", help="Start at the epoch second that this file will hold")
    add("--records", required=True, metavar="<file>", help="Write one CSV row per finished request here")


def watch(environment: Environment, **_: Any) -> None:
    """Set up the timetable, and the records once every user is there: their file says that the swarm is ready."""
    options = swarm_options(environment)
    fired: Any = environment.events
    _timetables.append(Timetable(options))

    def on_spawning_complete(**_: Any) -> None:
        fired.request.add_listener(Records(Path(options.records)).on_request)

    fired.spawning_complete.add_listener(on_spawning_complete)


hooks: Any = events  # without annotations in Locust
hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(watch)
