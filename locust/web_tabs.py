"""The tabs "Topology" and "First failure" of Locust's web page: their columns, and their rows at each poll.

Locust's page asks for /stats/requests every 2 s while a test runs, and once when it is loaded; the rows travel
in that answer.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import gevent
from flask import Flask, Response, jsonify, request
from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_RUNNING, STATE_SPAWNING, STATE_STOPPING

from admin_client import (
    ADMIN_TIMEOUT_S,
    RouterSilentError,
    ask_router,
    describe_loads,
    one_line,
    predictors_in,
    topology_name,
)
from counters import RunCounts
from first_failure import WINDOW_S, FirstFailures, Run, describe_cause, swarm_options

ASK_EVERY_S = 1.0  # the router, however many pages are open
PATIENCE_S = 0.5  # a poll waits no longer for the router; then it gets what was known before
LAST_PATIENCE_S = ADMIN_TIMEOUT_S + 0.5  # once a run has stopped the page asks no more: what it gets then stays
SHORTEST_RATE_S = 1.0  # a run that failed sooner shows its requests instead of a rate
MOST_ROWS = 500  # as Locust's own tables

TOPOLOGY_KEY, FIRST_FAILURE_KEY = "topology", "first-failure"
TABS = {TOPOLOGY_KEY: "Topology", FIRST_FAILURE_KEY: "First failure"}
COLUMNS = {
    TOPOLOGY_KEY: {
        "predictor": "Predictor",
        "role": "Role",
        "status": "Status",
        "load": "Load / capacity",
        "peak": "Peak load so far",
        "served": "Served, this run",
        "failed": "Failed, this run",
        "topology": "Topology",
        "seen": "As of",
    },
    FIRST_FAILURE_KEY: {
        "run": "Run",
        "topology": "Topology",
        "rate": "Rate at first failure (requests/s)",
        "users": "Users",
        "loads": "Loads at that moment",
        "cause": "Cause",
        "when": "When",
    },
}

Cells = dict[str, str | int]


def template_args() -> dict[str, Any]:
    """What Locust's page needs to show the tabs."""
    return {
        "extended_tabs": [{"key": key, "title": title} for key, title in TABS.items()],
        "extended_tables": [{"key": key, "structure": _structure(columns)} for key, columns in COLUMNS.items()],
    }


def _structure(columns: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "title": title} for key, title in columns.items()]


class RouterWatch:
    """The router's state for the page: asked when somebody looks, at most about once a second."""

    def __init__(self, options: argparse.Namespace, ask: Callable[[str], dict[str, Any]] = ask_router) -> None:
        self._options = options
        self._ask = ask
        self._asked_s = -ASK_EVERY_S
        self._asking: Any = None
        self.admin: str = options.admin
        self.state: dict[str, Any] | None = None
        self.fault = "not asked yet"
        self.seen_s = 0.0
        self._counts: RunCounts | None = None

    def begin_run(self) -> None:
        """A run starts: from now on its counts are shown."""
        self._counts = RunCounts(time.time())
        gevent.spawn(self._note_counts, self._counts, self._options.admin)

    def _note_counts(self, counts: RunCounts, admin: str) -> None:
        with contextlib.suppress(RouterSilentError):
            counts.found(self._ask(admin))

    def look(self, patience_s: float) -> None:
        """Bring the state up to date, or leave it as it is where that takes longer than this."""
        if self._asking is None and time.monotonic() - self._asked_s >= ASK_EVERY_S:
            self._asked_s = time.monotonic()
            self._asking = gevent.spawn(self._update, self._options.admin)
        if self._asking is not None:
            self._asking.join(timeout=patience_s)

    def topology(self) -> str | None:
        """The topology's name; None where it is not known."""
        return topology_name(self.state) if self.state else None

    def rows(self) -> list[Cells]:
        """One row per predictor; where the router is silent, rows that say so and what to do."""
        if self.state is None:
            return silence_rows(self.admin, self.fault)
        seen: Cells = {"topology": self.topology() or "unknown", "seen": _clock(self.seen_s)}
        told = islice(predictors_in(self.state).items(), MOST_ROWS)
        return [predictor_row(name, figures) | self._of_run(self.state, name) | seen for name, figures in told]

    def _of_run(self, state: dict[str, Any], name: str) -> Cells:
        """The columns that count the run; before the first run there is nothing to count."""
        counts = self._counts
        return {key: _number(counts.of_run(state, name, key)) if counts else "-" for key in ("served", "failed")}

    def _update(self, admin: str) -> None:
        try:
            self.state, self.seen_s = self._ask(admin), time.time()
        except RouterSilentError as silence:
            self.state, self.fault, self.admin = None, str(silence), admin
        finally:
            self._asking = None


def predictor_row(name: str, figures: dict[str, Any]) -> Cells:
    """A predictor as the page shows it. Whatever the network told becomes short text or a whole number."""
    role, promoted = figures.get("role"), figures.get("role") == "standby" and figures.get("status") is True
    return {
        "predictor": one_line(name),
        "role": one_line(str(role)),
        "status": one_line(f"{figures.get('state')}{', promoted' if promoted else ''}"),
        "load": one_line(f"{figures.get('load')} / {figures.get('capacity')}"),
        "peak": _number(figures.get("peak_load")),
    }


def _number(value: Any) -> str | int:
    return value if isinstance(value, int) else one_line(str(value))


def silence_rows(admin: str, fault: str) -> list[Cells]:
    """What stands in the table while the router's admin port cannot be asked."""
    remedy = "Start it (python router.py), or correct Admin under Custom parameters."
    return [{"predictor": f"The router cannot be asked at {admin}: {fault}."}, {"predictor": remedy}]


def run_row(number: int, run: Run) -> Cells:
    """A run as the page shows it: its first failure, or that it had none."""
    record = run.failure
    if record is None:
        ending = "" if run.ended_s is None else f": the run ended after {run.ended_s - run.started_s:.1f} s"
        none = {"rate": "-", "users": "-", "loads": "-", "cause": f"no failure{ending or ' so far'}"}
        when = f"started {_clock(run.started_s)}"
        return {"run": number, "topology": run.topology or "unknown", "when": when, **none}
    return {
        "run": number,
        "topology": record["topology"] or run.topology or "unknown",
        "rate": describe_rate(record),
        "users": record["users"],
        "loads": describe_loads(record["loads"]) or "unknown",
        "cause": describe_cause(record),
        "when": f"{_clock(record['time_s'])}, after {record['elapsed_s']:.1f} s",
    }


def describe_rate(record: dict[str, Any]) -> str:
    """The rate at first failure; what it is made of where the run was young, and no rate where it had hardly begun."""
    if record["window_s"] >= WINDOW_S:
        return f"{record['rate_at_first_failure_per_s']:.1f}"
    rate = f"{record['rate_at_first_failure_per_s']:.1f}" if record["window_s"] >= SHORTEST_RATE_S else "-"
    return f"{rate} ({record['requests_in_window']} in {record['window_s']:.1f} s)"


def _clock(epoch_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(epoch_s))


class Tabs:
    """Adds the tabs' rows to what the page polls."""

    def __init__(self, environment: Environment, first_failures: FirstFailures) -> None:
        self._environment = environment
        self._first_failures = first_failures
        self._watch = RouterWatch(swarm_options(environment))

    def connect(self, app: Flask) -> None:
        """Take part in every answer of Locust's web application."""
        app.after_request(self._add_rows)

    def on_test_start(self, **_: Any) -> None:
        """A new run: its tab counts from here."""
        self._watch.begin_run()

    def _add_rows(self, answer: Response) -> Response:
        if request.endpoint != "locust.request_stats" or not answer.is_json:
            return answer
        told = answer.get_json()
        if told.get("state") in (STATE_STOPPING, STATE_CLEANUP):
            told["state"] = STATE_RUNNING  # else the page ceases to ask, and never learns that the run has stopped
        polling = told.get("state") in (STATE_SPAWNING, STATE_RUNNING)
        self._watch.look(PATIENCE_S if polling else LAST_PATIENCE_S)
        rows = {TOPOLOGY_KEY: self._watch.rows(), FIRST_FAILURE_KEY: self._runs()}
        told["extended_stats"] = [{"key": key, "data": data} for key, data in rows.items()]
        return jsonify(told)  # a new answer: Locust keeps its own for the next polls

    def _runs(self) -> list[Cells]:
        runner, runs = self._environment.runner, self._first_failures.runs
        if runs and runner is not None and runner.state in (STATE_SPAWNING, STATE_RUNNING):
            runs[-1].topology = self._watch.topology() or runs[-1].topology
        return [run_row(number, run) for number, run in enumerate(runs, start=1)][-MOST_ROWS:]
