"""The first failure of a run: reported by processes with users, recorded by the one that leads; may stop the run."""

import contextlib
import json
import logging
import os
import statistics
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import gevent
import requests
from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.rpc import Message

from admin_client import (
    ADMIN_TIMEOUT_S,
    AdminError,
    changes_since,
    describe_loads,
    get_topology,
    loads_in,
    slots_in,
    topology_name,
)
from expected_range import Circumstances, Expected, Pace, pace_of
from loss_system import WINDOW_S
from swarm import is_running, request_outcome, stop_swarm, swarm_options

MIN_RATE_WINDOW_S = 1.0
"""Of a run that failed sooner no rate is given: users who come together make any."""

SATURATED = "saturated"

SENDS_AGE_S = 60.0
"""The window ends when the failing request was sent: up to its timeout and a moment ago."""

WORKERS_TIMEOUT_S = 1.0  # how long the master waits for the workers' counts
LATENCIES = 10_000  # of good answers, the latest

logger = logging.getLogger("locust.first_failure")


class SendCounter:
    """Send times of this process (epoch seconds), as far back as the first failure needs."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def add(self, now_s: float) -> None:
        """Adds a request that starts now."""
        self._times_s.append(now_s)
        while self._times_s[0] < now_s - SENDS_AGE_S:
            self._times_s.popleft()

    def count(self, until_s: float) -> int:
        """Returns the requests sent in the WINDOW_S seconds that end at `until_s`."""
        return sum(until_s - WINDOW_S < sent_s <= until_s for sent_s in self._times_s)

    def clear(self) -> None:
        """Drops the previous run's."""
        self._times_s.clear()


sends = SendCounter()


class Failure(TypedDict):
    """One failed request: when it was sent (epoch seconds), HTTP status (0: no answer), cause."""

    time_s: float
    status: int
    cause: str


class Report(TypedDict):
    """Report of a process with users: sends in the window up to `until_s`, its users, its first failure.

    `latency_s`: the median and the 95 % quantile of its good answers; None where it had none.
    """

    until_s: float
    sends: int
    users: int
    failure: Failure | None
    latency_s: Sequence[float] | None


class Observer:
    """In each process that runs users: reports its first failure to the leader and, when asked, its sends."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._failure: Failure | None = None
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES)

    def on_test_start(self, **_: Any) -> None:
        """Forgets the previous run's sends, latencies and failure."""
        self._failure = None
        self._latencies_s.clear()
        sends.clear()

    def on_request(
        self, response: requests.Response, exception: Exception | None, start_time: float, **event: Any
    ) -> None:
        """Reports a request that failed, if it is this process's first of the run."""
        if self._failure is not None:
            return
        if exception is None:
            self._latencies_s.append(event["response_time"] / 1000)
            return
        status, cause, _predictor = request_outcome(exception, response)
        time_s = round(start_time, 6)  # as the records have it, so that the two agree on what came before
        self._failure = Failure(time_s=time_s, status=status, cause=cause)
        self._send("first_failure", time_s)

    def receive_sends_wanted(self, msg: Message, **_: Any) -> None:
        """Reports the sends of the window that ends at a failure, wherever it was."""
        self._send("sends", msg.data["until_s"])

    def _send(self, kind: str, until_s: float) -> None:
        runner: Any = self._environment.runner
        count = sends.count(until_s)
        report = Report(
            until_s=until_s,
            sends=count,
            users=runner.user_count,
            failure=self._failure,
            latency_s=quantiles(self._latencies_s),
        )
        runner.send_message(kind, report)


def quantiles(latencies_s: Collection[float]) -> list[float] | None:
    """Returns the median and the 95 % quantile; None where there is no latency."""
    ordered = sorted(latencies_s)
    return [ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95)] if ordered else None


@dataclass
class TestRun:
    """One run: when it started and ended (epoch seconds), its topology as last seen, its first failure's record.

    And what theory is told of it: its pace at the start, and at the first failure the circumstances; and its answer.
    """

    started_s: float
    pace: Pace | None = None
    ended_s: float | None = None
    topology: str | None = None
    failure: dict[str, Any] | None = None
    circumstances: Circumstances | None = None
    expected: Expected | None = None


class FirstFailures:
    """In the process that leads the run (the master, or the only one): one record for each run that failed.

    Failure times and sends of all workers are compared by the clock, so workers on other machines need
    clocks that agree (NTP). `runs` holds all runs of this process, oldest first.
    """

    def __init__(self, environment: Environment) -> None:
        self.runs: list[TestRun] = []
        self._environment = environment
        self._options = swarm_options(environment)
        self._ramp_up: Any = None
        self._recording: Any = None  # the greenlet that records this run's first failure
        self._reports: Queue[Message] = Queue()

    def on_test_start(self, **_: Any) -> None:
        """Begins a run, with a first failure of its own, in a file of its own."""
        self.runs.append(TestRun(time.time(), pace_of(self._environment)))
        self._ramp_up = gevent.getcurrent()  # the master adds users in the greenlet that starts the run
        self._recording = None
        if self._options.first_failure:
            with contextlib.suppress(OSError):
                os.unlink(self._options.first_failure)

    def on_test_stopping(self, **_: Any) -> None:
        """Notes when the run ended: a master tells `test_stop` up to a second late, when the next may have begun."""
        self.runs[-1].ended_s = time.time()

    def on_quitting(self, **_: Any) -> None:
        """Lets a record that has begun be finished before the process ends."""
        if self._recording is not None:
            self._recording.join(timeout=2 * ADMIN_TIMEOUT_S)

    def receive_first_failure(self, msg: Message, **_: Any) -> None:
        """Starts the record at the first report of a run."""
        if self._recording is None and self.runs and msg.data["until_s"] >= self.runs[-1].started_s:
            self._recording = gevent.spawn(self._record, msg, self.runs[-1])

    def receive_sends(self, msg: Message, **_: Any) -> None:
        """Receives a process's report of the sends it was asked for."""
        self._reports.put(msg)

    def note_topology(self, name: str | None) -> None:
        """Notes the topology that the router has just now, if a run is going on."""
        if self.runs and is_running(self._environment):
            self.runs[-1].topology = name or self.runs[-1].topology

    def _record(self, msg: Message, run: TestRun) -> None:
        asked = gevent.spawn(router_state, self._options.admin)  # at once: loads change in a moment
        failure, reports = self._earliest(msg.node_id, msg.data)
        state = asked.get()
        record = first_failure_record(failure, reports, run.started_s, topology_name(state), loads_in(state))
        run.circumstances = Circumstances(
            saturated=failure["cause"] == SATURATED,
            pace=pace_of(self._environment) if run.pace == pace_of(self._environment) else None,
            slots=slots_in(record["loads"]),
            changes=changes_since(state, run.started_s),
            latency_s=median_latency(reports),
        )
        run.failure = record
        logger.warning(summary_line(record))
        if self._options.first_failure:
            write_json(self._options.first_failure, record)
        if self._options.stop_at_first_failure:
            if self._environment.web_ui is None:
                self._environment.process_exit_code = 0  # it found what it looked for, however it ends now
            gevent.spawn_later(self._options.go_on, self._stop, run)

    def _stop(self, run: TestRun) -> None:
        """Ends the run, unless it was stopped meanwhile."""
        if run is self.runs[-1] and run.ended_s is None:
            stop_swarm(self._environment, self._ramp_up)

    def _earliest(self, node_id: str, first: Report) -> tuple[Failure, list[Report]]:
        """Returns the run's earliest failure, and every process's report on the window that ends with it."""
        reports = self._collect(first["until_s"], {node_id: first})
        failures = [report["failure"] for report in reports if report["failure"]]
        earliest = min(failures, key=lambda failure: failure["time_s"])
        if earliest["time_s"] < first["until_s"]:
            reports = self._collect(earliest["time_s"], {})
        return earliest, reports

    def _collect(self, until_s: float, reports: dict[str, Report]) -> list[Report]:
        """Returns `reports` and those of all other processes that answer in time, on the window up to `until_s`."""
        runner: Any = self._environment.runner
        runner.send_message("sends_wanted", {"until_s": until_s})
        deadline_s = time.monotonic() + WORKERS_TIMEOUT_S
        with contextlib.suppress(Empty):
            while len(reports) < runner.worker_count:
                msg = self._reports.get(timeout=max(0.0, deadline_s - time.monotonic()))
                if msg.data["until_s"] == until_s:  # a late answer to an earlier question is dropped
                    reports.setdefault(msg.node_id, msg.data)
        if len(reports) < runner.worker_count:
            logger.warning(f"Only {len(reports)} of {runner.worker_count} workers told their sends in time")
        return list(reports.values())


def first_failure_record(
    failure: Failure, reports: list[Report], started_s: float, topology: str | None, loads: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Returns the record of a run's first failure, times in epoch seconds.

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


def summary_line(record: dict[str, Any]) -> str:
    """Returns the record as one line for the log."""
    loads = describe_loads(record["loads"])
    return (
        f"First failure after {record['elapsed_s']:.1f} s: {describe_cause(record)}; "
        f"{record['users']} users, requests/s sent: {describe_rate(record)}; "
        f"topology {record['topology'] or 'unknown'}, loads: {loads or 'unknown'}"
    )


def describe_rate(record: dict[str, Any]) -> str:
    """Returns the rate at first failure with its parts; without a rate where the run had only just begun."""
    parts = f"{record['requests_in_window']} in {record['window_s']:.1f} s"
    if record["window_s"] >= MIN_RATE_WINDOW_S:
        return f"{record['rate_at_first_failure_per_s']:.1f} ({parts})"
    at_once = "the first users were more than the slots" if record["cause"] == SATURATED else "as the run began"
    return f"- (at once: {at_once})"


def describe_cause(record: dict[str, Any]) -> str:
    """Returns the status and the reason, as in "503 saturated"."""
    return f"{record['status'] or 'no answer,'} {record['cause']}"


def median_latency(reports: list[Report]) -> tuple[float, float] | None:
    """Returns the median over the processes of their good answers' quantiles; None where no answer was good."""
    measured = [report["latency_s"] for report in reports if report["latency_s"]]
    if not measured:
        return None
    median_s, p95_s = (statistics.median(column) for column in zip(*measured, strict=True))
    return median_s, p95_s


def router_state(admin: str) -> dict[str, Any]:
    """Returns the router's state, from its admin port; without it one of no predictors."""
    try:
        return get_topology(admin)
    except AdminError as error:
        if admin:
            logger.warning(f"No loads from the router's admin address {admin}: {error}")
        return {"predictors": {}}


def write_json(path: str, record: dict[str, Any]) -> None:
    """Writes the record so that a reader finds all of it or nothing; a failure is logged as a warning."""
    target = Path(path).resolve()
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        logger.warning(f"The first failure could not be written to {path}: {error.strerror}")
