"""What Locust's page offers on its tab "Download Data" besides Locust's own: first failures and records as CSV."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flask import Response, redirect
from locust.env import Environment

from admin_client import describe_loads
from first_failure import MIN_RATE_WINDOW_S, FirstFailures, TestRun
from request_records import RecordCollector
from swarm import csv_cell, swarm_options

COLUMNS = (
    "run", "started_at_s", "first_failure_at_s", "elapsed_s", "topology", "users", "rate_at_first_failure_per_s",
    "requests_in_window", "window_s", "status", "cause", "loads", "expected_p5_per_s", "expected_p95_per_s",
)  # fmt: skip


def add_downloads(
    web_ui: Any, environment: Environment, first_failures: FirstFailures, collector: RecordCollector
) -> None:
    """Adds the links and their routes, beside Locust's own and behind its login where there is one."""
    options = swarm_options(environment)
    links: tuple[tuple[str, str, Callable[[], Any]], ...] = (
        (
            "first-failures/csv",
            "Download first failures CSV (a row per run of this session)",
            lambda: _csv_response(first_failures_csv(first_failures.runs), "first-failures.csv"),
        ),
        (
            "records/csv",
            "Download records CSV (a row per request of this session)",
            lambda: _csv_response(collector.content(), "records.csv"),
        ),
        ("router-board", "Open the router's live board", lambda: redirect(f"{options.admin.rstrip('/')}/")),
    )
    web_ui.template_args["extended_csv_files"] = [{"href": f"./{path}", "title": title} for path, title, _ in links]
    for path, _, view in links:
        web_ui.app.add_url_rule(f"{options.web_base_path}/{path}", path, web_ui.auth_required_if_enabled(view))


def first_failures_csv(runs: Sequence[TestRun]) -> str:
    """Returns one row per run, oldest first; what is not known is an empty cell. Times are epoch seconds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for number, run in enumerate(runs, start=1):
        writer.writerow(_run_cells(number, run))
    return text.getvalue()


def _run_cells(number: int, run: TestRun) -> dict[str, Any]:
    cells = {"run": number, "started_at_s": f"{run.started_s:.6f}", "topology": csv_cell(run.topology or "")}
    record = run.failure
    if record is None:
        return cells
    failure = {
        "first_failure_at_s": f"{record['time_s']:.6f}",
        "topology": csv_cell(record["topology"] or run.topology or ""),
        "cause": csv_cell(record["cause"]),
        "loads": csv_cell(describe_loads(record["loads"])),
    }
    if record["window_s"] < MIN_RATE_WINDOW_S:
        failure["rate_at_first_failure_per_s"] = ""
    if run.expected is not None and run.expected.range_per_s is not None:
        names = ("expected_p5_per_s", "expected_p95_per_s")
        failure |= {name: f"{rate:.3f}" for name, rate in zip(names, run.expected.range_per_s, strict=True)}
    return record | cells | failure


def _csv_response(content: str | Iterator[bytes], name: str) -> Response:
    return Response(content, mimetype="text/csv", headers={"Content-Disposition": f"attachment; filename={name}"})
