"""The first failure of a run: seen by processes with users, noted by the one that leads; may stop the run.

What a user does, the options and the wiring to Locust are in locustfile.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypedDict

import gevent
import requests
from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.rpc import Message
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from admin_client import (
    ADMIN_TIMEOUT_S,
    RouterSilentError,
    ask_router,
    describe_loads,
    loads_in,
    one_line,
    topology_name,
)

WINDOW_S = 10.0  # what "rate at first failure" looks back on
KEPT_S = 60.0  # the window ends when the failing request was sent, up to its timeout and a moment ago
WORKERS_TIMEOUT_S = 1.0  # how long the master waits for the workers' counts

logger = logging.getLogger("locust.first_failure")


class SendTimes:
    """When this process sent its requests (epoch seconds), as far back as the first failure needs."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def note(self, now_s: float) -> None:
        """A request starts now."""
        self._times_s.append(now_s)
        while self._times_s[0] < now_s - KEPT_S:
            self._times_s.popleft()

    def count(self, until_s: float) -> int:
        """Requests sent in the WINDOW_S seconds that end at `until_s`."""
        return sum(until_s - WINDOW_S < sent_s <= until_s for sent_s in self._times_s)

    def clear(self) -> None:
        """Forget the previous run."""
        self._times_s.clear()


sends = SendTimes()


def swarm_options(environment: Environment) -> argparse.Namespace:
    """The options of this process; a worker's are the master's once a run starts."""
    return environment.parsed_options or argparse.Namespace()


class Failure(TypedDict):
    """One failed request: when it was sent (epoch seconds), HTTP status (0 = no answer), cause."""

    time_s: float
    status: int
    cause: str


class Report(TypedDict):
    """What a process with users tells: sends in the window up to `until_s`, its users, its first failure."""

    until_s: float
    sends: int
    users: int
    failure: Failure | None


class Observer:
    """In each process that runs users: tells the leader its first failure and, when asked, its sends."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._failure: Failure | None = None

    def on_test_start(self, **_: Any) -> None:
        """A new run: nothing sent, nothing failed."""
        self._failure = None
        sends.clear()

    def on_request(self, response: requests.Response, exception: Exception | None, start_time: float, **_: Any) -> None:
        """A request ended; report it if it is this process's first failure of the run."""
        if exception is None or self._failure is not None:
            return
        cause = failure_cause(exception, response)
        time_s = round(start_time, 6)  # as the records have it, so that the two agree on what came before
        self._failure = Failure(time_s=time_s, status=response.status_code, cause=cause)
        self._send("first_failure", self._failure["time_s"])

    def on_sends_wanted(self, msg: Message, **_: Any) -> None:
        """The leader asks for the sends of the window that ends at a failure, wherever it was."""
        self._send("sends", msg.data["until_s"])

    def _send(self, kind: str, until_s: float) -> None:
        runner: Any = self._environment.runner
        count = sends.count(until_s)
        report = Report(until_s=until_s, sends=count, users=runner.user_count, failure=self._failure)
        runner.send_message(kind, report)


@dataclass
class Run:
    """One run: when it started and ended (epoch seconds), its topology as last seen, its first failure's record."""

    started_s: float
    ended_s: float | None = None
    topology: str | None = None
    failure: dict[str, Any] | None = None


class FirstFailures:
    """In the process that leads the run (the master, or the only one): one record for each run that failed.

    Failure times and sends of all workers are compared by the clock, so workers on other machines need
    clocks that agree (NTP). `runs` holds all runs of this process, oldest first.
    """

    def __init__(self, environment: Environment) -> None:
        self.runs: list[Run] = []
        self._environment = environment
        self._options = swarm_options(environment)
        self._ramp_up: Any = None
        self._noting: Any = None  # the greenlet that notes this run's first failure
        self._answers: Queue[Message] = Queue()

    def on_test_start(self, **_: Any) -> None:
        """A new run: it notes a first failure of its own, in a file of its own."""
        self.runs.append(Run(time.time()))
        self._ramp_up = gevent.getcurrent()  # the master adds users in the greenlet that starts the run
        self._noting = None
        if self._options.first_failure:
            with contextlib.suppress(OSError):
                os.unlink(self._options.first_failure)

    def on_test_stop(self, **_: Any) -> None:
        """The run has ended."""
        self.runs[-1].ended_s = time.time()

    def on_first_failure(self, msg: Message, **_: Any) -> None:
        """A process reports its first failure; the first report of a run starts the note."""
        if self._noting is None and self.runs and msg.data["until_s"] >= self.runs[-1].started_s:
            self._noting = gevent.spawn(self._note, msg, self.runs[-1])

    def on_sends(self, msg: Message, **_: Any) -> None:
        """A process tells the sends it was asked for."""
        self._answers.put(msg)

    def on_quitting(self, **_: Any) -> None:
        """The process ends: let a note that has begun be finished."""
        if self._noting is not None:
            self._noting.join(timeout=2 * ADMIN_TIMEOUT_S)

    def _note(self, msg: Message, run: Run) -> None:
        topology = gevent.spawn(read_topology, self._options.admin)  # at once: loads change in a moment
        failure, reports = self._earliest(msg.node_id, msg.data)
        record = first_failure_record(failure, reports, run.started_s, *topology.get())
        run.failure = record
        logger.warning(describe(record))
        if self._options.first_failure:
            write_json(self._options.first_failure, record)
        if self._options.stop_at_first_failure and self._noting is gevent.getcurrent():
            stop_swarm(self._environment, self._ramp_up)

    def _earliest(self, node_id: str, told: Report) -> tuple[Failure, list[Report]]:
        """The run's earliest failure, and every process's report on the window that ends with it."""
        reports = self._ask(told["until_s"], {node_id: told})
        failures = [report["failure"] for report in reports if report["failure"]]
        earliest = min(failures, key=lambda failure: failure["time_s"])
        if earliest["time_s"] < told["until_s"]:
            reports = self._ask(earliest["time_s"], {})
        return earliest, reports

    def _ask(self, until_s: float, reports: dict[str, Report]) -> list[Report]:
        """`reports` and those of all other processes that answer in time, on the window up to `until_s`."""
        runner: Any = self._environment.runner
        runner.send_message("sends_wanted", {"until_s": until_s})
        deadline_s = time.monotonic() + WORKERS_TIMEOUT_S
        with contextlib.suppress(Empty):
            while len(reports) < runner.worker_count:
                answer = self._answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
                if answer.data["until_s"] == until_s:  # a late answer to an earlier question is dropped
                    reports.setdefault(answer.node_id, answer.data)
        if len(reports) < runner.worker_count:
            logger.warning(f"Only {len(reports)} of {runner.worker_count} workers told their sends in time")
        return list(reports.values())


def first_failure_record(
    failure: Failure,
    reports: list[Report],
    started_s: float,
    topology: str | None,
    loads: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """What is noted of a run's first failure.

    Rate at first failure = requests sent in the 10 s up to the failing one, divided by the window; the window
    is shorter if the run is younger.
    """
    elapsed_s = failure["time_s"] - started_s
    window_s = min(WINDOW_S, max(elapsed_s, 0.001))
    requests_in_window = sum(report["sends"] for report in reports)
    return {
        "time_s": failure["time_s"],
        "elapsed_s": elapsed_s,
        "users": sum(report["users"] for report in reports),
        "rate_at_first_failure_per_s": requests_in_window / window_s,
        "window_s": window_s,
        "requests_in_window": requests_in_window,
        "cause": failure["cause"],
        "status": failure["status"],
        "topology": topology,
        "loads": loads,
    }


def describe(record: dict[str, Any]) -> str:
    """The record as one line for the log."""
    loads = describe_loads(record["loads"])
    return (
        f"First failure after {record['elapsed_s']:.1f} s: {describe_cause(record)}; "
        f"{record['users']} users, {record['rate_at_first_failure_per_s']:.1f} requests/s sent "
        f"({record['requests_in_window']} in {record['window_s']:.1f} s); "
        f"topology {record['topology'] or 'unknown'}, loads: {loads or 'unknown'}"
    )


def describe_cause(record: dict[str, Any]) -> str:
    """The status and the reason, as in "503 saturated"."""
    return f"{record['status'] or 'no answer,'} {record['cause']}"


def read_topology(admin: str) -> tuple[str | None, dict[str, dict[str, Any]]]:
    """The topology's name and each predictor's load, from the router's admin port; without it None and {}."""
    try:
        state = ask_router(admin)
    except RouterSilentError as silence:
        logger.warning(f"No loads from the router's admin address {admin}: {silence}")
        return None, {}
    return topology_name(state), loads_in(state)


def write_json(path: str, record: dict[str, Any]) -> None:
    """Write the record so that a reader finds all of it or nothing."""
    target = Path(path).resolve()
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        logger.warning(f"The first failure could not be written to {path}: {error.strerror}")


def stop_swarm(environment: Environment, ramp_up: Any) -> None:
    """End a headless run, with exit status 0: it found what it looked for; under the web page, only stop."""
    runner, web_ui = environment.runner, environment.web_ui
    if runner is None or runner.state not in (STATE_SPAWNING, STATE_RUNNING):
        return
    # As the page's own Stop button does: a master still adding users would start its workers again.
    for greenlet in (ramp_up, getattr(web_ui, "_swarm_greenlet", None)):
        if isinstance(greenlet, gevent.Greenlet):
            greenlet.kill()
    if web_ui is None:
        environment.process_exit_code = 0
        runner.quit()
    else:
        runner.stop()


def refusal_reason(answer: requests.Response) -> str:
    """The `reason` in an error answer's JSON; the status phrase where there is none."""
    try:
        reason = answer.json()["reason"]
    except (ValueError, LookupError, TypeError, RecursionError):
        reason = None
    if isinstance(reason, str) and reason.strip():
        return one_line(reason)
    with contextlib.suppress(ValueError):
        return HTTPStatus(answer.status_code).phrase
    return "unexpected status"


def failure_cause(exception: Exception, answer: requests.Response) -> str:
    """Why a request failed: the router's reason, or the class of the transport error."""
    return refusal_reason(answer) if isinstance(exception, CatchResponseError) else type(exception).__name__
