"""Tabs with a table on Locust's web page: what a tab is, how its rows reach the page, and the tab "First failure".

Locust's page asks for /stats/requests every 2 s while a test runs, and once when it is loaded; the rows travel
in that answer.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request
from locust.runners import STATE_CLEANUP, STATE_RUNNING, STATE_SPAWNING, STATE_STOPPING

from admin_client import describe_loads
from first_failure import WINDOW_S, FirstFailures, TestRun, describe_cause

MAX_ROWS = 500  # as Locust's own tables
MIN_RATE_WINDOW_S = 1.0  # a run that failed sooner shows its requests instead of a rate

FIRST_FAILURE_COLUMNS = {
    "run": "Run",
    "topology": "Topology",
    "rate": "Rate at first failure (requests/s)",
    "users": "Users",
    "loads": "Loads at that moment",
    "cause": "Cause",
    "when": "When",
}

Cells = dict[str, str | int]


@dataclass(frozen=True)
class Tab:
    """A tab: its key and title, its columns (key -> heading), and its rows as they are now."""

    key: str
    title: str
    columns: dict[str, str]
    rows: Callable[[], list[Cells]]


def add_tabs(web_ui: Any, tabs: Sequence[Tab], refresh: Callable[[bool], None]) -> None:
    """Adds the tabs to Locust's page, before it is served.

    Args:
        web_ui: Locust's.
        tabs: in the order of the page.
        refresh: brings up to date what the rows are made of; called at each poll, with whether another will follow.
    """
    web_ui.template_args["extended_tabs"] = [{"key": tab.key, "title": tab.title} for tab in tabs]
    web_ui.template_args["extended_tables"] = [
        {"key": tab.key, "structure": [{"key": key, "title": title} for key, title in tab.columns.items()]}
        for tab in tabs
    ]

    def add_rows(response: Response) -> Response:
        if request.endpoint != "locust.request_stats" or not response.is_json:
            return response
        stats = response.get_json()
        if stats.get("state") in (STATE_STOPPING, STATE_CLEANUP):
            stats["state"] = STATE_RUNNING  # else the page ceases to ask, and never learns that the run has stopped
        refresh(stats.get("state") in (STATE_SPAWNING, STATE_RUNNING))
        stats["extended_stats"] = [{"key": tab.key, "data": tab.rows()} for tab in tabs]
        return jsonify(stats)  # a new response: Locust keeps its own for the next polls

    web_ui.app.after_request(add_rows)


def first_failure_tab(first_failures: FirstFailures) -> Tab:
    """Returns the tab."""

    def rows() -> list[Cells]:
        return [run_row(number, run) for number, run in enumerate(first_failures.runs, start=1)][-MAX_ROWS:]

    return Tab("first-failure", "First failure", FIRST_FAILURE_COLUMNS, rows)


def run_row(number: int, run: TestRun) -> Cells:
    """Returns a run as the page shows it: its first failure, or that it had none."""
    record = run.failure
    if record is None:
        ending = "" if run.ended_s is None else f": the run ended after {run.ended_s - run.started_s:.1f} s"
        none = {"rate": "-", "users": "-", "loads": "-", "cause": f"no failure{ending or ' so far'}"}
        when = f"started {clock(run.started_s)}"
        return {"run": number, "topology": run.topology or "unknown", "when": when, **none}
    return {
        "run": number,
        "topology": record["topology"] or run.topology or "unknown",
        "rate": describe_rate(record),
        "users": record["users"],
        "loads": describe_loads(record["loads"]) or "unknown",
        "cause": describe_cause(record),
        "when": f"{clock(record['time_s'])}, after {record['elapsed_s']:.1f} s",
    }


def describe_rate(record: dict[str, Any]) -> str:
    """Returns the rate at first failure: with its parts where the run was young, without a rate where newly begun."""
    if record["window_s"] >= WINDOW_S:
        return f"{record['rate_at_first_failure_per_s']:.1f}"
    rate = f"{record['rate_at_first_failure_per_s']:.1f}" if record["window_s"] >= MIN_RATE_WINDOW_S else "-"
    return f"{rate} ({record['requests_in_window']} in {record['window_s']:.1f} s)"


def clock(epoch_s: float) -> str:
    """Returns the time of day, as in "14:05:59"."""
    return time.strftime("%H:%M:%S", time.localtime(epoch_s))
