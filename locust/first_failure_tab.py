"""The tab "First failure": one row per run of this session."""

from typing import Any

from admin_client import describe_loads
from counters import WINDOW_S
from first_failure import FirstFailures, TestRun, describe_cause
from topology_tab import clock
from web_tabs import MAX_ROWS, Cells, Tab

MIN_RATE_WINDOW_S = 1.0  # a run that failed sooner shows its requests instead of a rate

COLUMNS = {
    "run": "Run",
    "topology": "Topology",
    "rate": "Rate at first failure (requests/s)",
    "users": "Users",
    "loads": "Loads at that moment",
    "cause": "Cause",
    "when": "When",
}


def first_failure_tab(first_failures: FirstFailures) -> Tab:
    """Returns the tab."""

    def rows() -> list[Cells]:
        return [run_row(number, run) for number, run in enumerate(first_failures.runs, start=1)][-MAX_ROWS:]

    return Tab("first-failure", "First failure", COLUMNS, rows)


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
