"""The records of the requests, one CSV row each: in the files of --records, and for the web page's download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from locust.env import Environment
from locust.runners import WorkerRunner

from admin_client import one_line
from csv_file import RowFile, csv_text
from first_failure import failure_cause, swarm_options

COLUMNS = ("sent_at_s", "latency_s", "method", "status", "reason", "predictor", "users")
REPORT_KEY = "request_records"

Row = tuple[str | int, ...]


class Collection:
    """In the process that leads the run, under the web UI: the rows of all processes, in a temporary file."""

    def __init__(self) -> None:
        self._rows = RowFile(None, COLUMNS)

    def add(self, row: Row) -> None:
        """Add a row of this process."""
        self._rows.add(row)

    def on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        """A worker's report came, about every 3 s and at its stop: add the rows in it."""
        for row in data.pop(REPORT_KEY, ()):
            self._rows.add(row)

    def content(self) -> Iterator[bytes]:
        """The whole CSV file as it is now."""
        return self._rows.content()


class Records:
    """In each process with users: one row per request that finished in it."""

    def __init__(self, environment: Environment, collection: Collection | None) -> None:
        self._environment = environment
        self._collection = collection
        self._rows: RowFile | None = None
        self._unreported: list[Row] = []

    def on_test_start(self, **_: Any) -> None:
        """Open the file at the first run; later runs of this process add to it."""
        name = swarm_options(self._environment).records
        if self._rows is None and name:
            self._rows = RowFile(self._path(name), COLUMNS)

    def on_request(
        self,
        request_type: str,
        response_time: float,
        response: requests.Response,
        exception: Exception | None,
        start_time: float,
        **_: Any,
    ) -> None:
        """A request ended: add its row."""
        runner = self._environment.runner
        if runner is None:
            return
        cause = csv_text(failure_cause(exception, response) if exception else "")
        predictor = csv_text(one_line(response.headers.get("X-Predictor", "")))
        times = (f"{start_time:.6f}", f"{response_time / 1000:.6f}")
        self._add((*times, request_type, response.status_code, cause, predictor, runner.user_count))

    def on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        """A worker reports to its master: send the rows along if the master's page offers them."""
        if self._unreported:
            data[REPORT_KEY], self._unreported = self._unreported, []

    def _add(self, row: Row) -> None:
        if self._rows is not None:
            self._rows.add(row)
        if self._collection is not None:
            self._collection.add(row)
        elif isinstance(self._environment.runner, WorkerRunner) and swarm_options(self._environment).collect_records:
            self._unreported.append(row)

    def _path(self, name: str) -> Path:
        path, runner = Path(name), self._environment.runner
        if isinstance(runner, WorkerRunner):
            return path.with_suffix(f".{runner.worker_index}{path.suffix}")
        return path
