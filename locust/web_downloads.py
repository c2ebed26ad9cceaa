"""What Locust's page offers on its tab "Download Data" besides Locust's own: first failures and records as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response, redirect
from locust.env import Environment

from admin_client import describe_loads
from csv_file import csv_text
from first_failure import FirstFailures, Run, swarm_options
from request_records import Collection

FIRST_FAILURES_PATH, RECORDS_PATH, BOARD_PATH = "first-failures/csv", "records/csv", "router-board"
LINKS = {
    FIRST_FAILURES_PATH: "Download first failures CSV (a row per run of this session)",
    RECORDS_PATH: "Download records CSV (a row per request of this session)",
    BOARD_PATH: "Open the router's live board",
}
COLUMNS = (
    "run", "started_at_s", "first_failure_at_s", "elapsed_s", "topology", "users", "rate_at_first_failure_per_s",
    "requests_in_window", "window_s", "status", "cause", "loads",
)  # fmt: skip


def template_args() -> dict[str, Any]:
    """What Locust's page needs to show the links."""
    return {"extended_csv_files": [{"href": f"./{path}", "title": title} for path, title in LINKS.items()]}


def first_failures_csv(runs: Sequence[Run]) -> str:
    """One row per run, oldest first; a run without a failure has empty cells. Times are epoch seconds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for number, run in enumerate(runs, start=1):
        writer.writerow(_run_cells(number, run))
    return text.getvalue()


def _run_cells(number: int, run: Run) -> dict[str, Any]:
    cells = {"run": number, "started_at_s": f"{run.started_s:.6f}", "topology": csv_text(run.topology or "")}
    record = run.failure
    if record is None:
        return cells
    told = {
        "first_failure_at_s": f"{record['time_s']:.6f}",
        "topology": csv_text(record["topology"] or run.topology or ""),
        "cause": csv_text(record["cause"]),
        "loads": csv_text(describe_loads(record["loads"])),
    }
    return record | cells | told


class Downloads:
    """The routes of the links, beside Locust's own and behind its login where there is one."""

    def __init__(self, environment: Environment, first_failures: FirstFailures, collection: Collection) -> None:
        self._options = swarm_options(environment)
        self._first_failures = first_failures
        self._collection = collection

    def connect(self, web_ui: Any) -> None:
        """Add the routes to Locust's web application."""
        views = {
            FIRST_FAILURES_PATH: self.first_failures,
            RECORDS_PATH: self.records,
            BOARD_PATH: self.board,
        }
        for path, view in views.items():
            rule = f"{self._options.web_base_path}/{path}"
            web_ui.app.add_url_rule(rule, path, web_ui.auth_required_if_enabled(view))

    def first_failures(self) -> Response:
        """GET first-failures/csv."""
        return _csv_answer(first_failures_csv(self._first_failures.runs), "first-failures.csv")

    def records(self) -> Response:
        """GET records/csv."""
        return _csv_answer(self._collection.content(), "records.csv")

    def board(self) -> Any:
        """GET router-board: the router's own page, at the admin address in force."""
        return redirect(f"{self._options.admin.rstrip('/')}/")


def _csv_answer(content: str | Iterator[bytes], name: str) -> Response:
    disposition = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(content, mimetype="text/csv", headers=disposition)
