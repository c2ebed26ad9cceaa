"""The tab "First failure": a row per run, beside the range that theory expects from chance alone."""

from collections.abc import Sequence
from typing import Any

import gevent

from admin_client import describe_loads
from expected_range import describe_expected, expected
from first_failure import FirstFailures, TestRun, describe_cause, describe_rate
from loss_system import WINDOW_S
from web_tabs import MAX_ROWS, Cells, Tab, clock

LAST_POLL_TIMEOUT_S = 2.0  # once a run has stopped the page asks no more: what it gets then stays

COLUMNS = {
    "run": "Run",
    "topology": "Topology",
    "rate": "Rate at first failure (requests/s)",
    "range": "90 % of runs at these slots and this pace lie between (requests/s), by chance alone: "
    "a single run decides no ranking",
    "users": "Users",
    "loads": "Loads and states at that moment",
    "cause": "Cause",
    "when": "When",
}


class ExpectedRanges:
    """Has theory asked about each run that failed, once."""

    def __init__(self, runs: Sequence[TestRun]) -> None:
        self._runs = runs
        self._asking: Any = None

    def refresh(self, polling: bool) -> None:
        """Asks about the runs that wait for it; waits for the answer where no further poll will fetch it."""
        if self._asking is None and any(map(waits, self._runs)):
            self._asking = gevent.spawn(self._ask)
        if self._asking is not None and not polling:
            self._asking.join(timeout=LAST_POLL_TIMEOUT_S)

    def _ask(self) -> None:
        try:
            for run in filter(waits, list(self._runs)):
                run.expected = expected(run.circumstances) if run.circumstances else None
        finally:
            self._asking = None


def waits(run: TestRun) -> bool:
    """Returns whether theory has not been asked about a run that failed."""
    return run.failure is not None and run.circumstances is not None and run.expected is None


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
        none = dict.fromkeys(("rate", "range", "users", "loads"), "-")
        cause, when = f"no failure{ending or ' so far'}", f"started {clock(run.started_s)}"
        return {"run": number, "topology": run.topology or "unknown", "when": when, "cause": cause, **none}
    whole_window = record["window_s"] >= WINDOW_S
    return {
        "run": number,
        "topology": record["topology"] or run.topology or "unknown",
        "rate": f"{record['rate_at_first_failure_per_s']:.1f}" if whole_window else describe_rate(record),
        "range": describe_expected(run.expected),
        "users": record["users"],
        "loads": describe_loads(record["loads"]) or "unknown",
        "cause": describe_cause(record),
        "when": f"{clock(record['time_s'])}, after {record['elapsed_s']:.1f} s",
    }
