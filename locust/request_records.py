"""The records of the requests, one CSV row each: in the files of --records, and for the web page's download."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from locust.env import Environment
from locust.runners import WorkerRunner

from csv_file import CsvFile
from request_outcome import request_outcome
from sanitize import csv_cell
from swarm import swarm_options

COLUMNS = ("sent_at_s", "latency_s", "method", "status", "reason", "predictor", "users")
REPORT_KEY = "request_records"

Row = tuple[str | int, ...]


class RecordCollector:
    """In the process that leads the run, under the web UI: the rows of all processes, in a temporary file."""

    def __init__(self) -> None:
        self._file = CsvFile(None, COLUMNS)

    def add(self, row: Row) -> None:
        """Adds a row of this process."""
        self._file.add(row)

    def on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        """Adds the rows in a worker's report, which comes about every 3 s and at its stop."""
        for row in data.pop(REPORT_KEY, ()):
            self._file.add(row)

    def content(self) -> Iterator[bytes]:
        """Yields the whole CSV file as it is now."""
        return self._file.content()


class RequestRecorder:
    """In each process with users: one row per request that finished in it."""

    def __init__(self, environment: Environment, collector: RecordCollector | None) -> None:
        self._environment = environment
        self._collector = collector
        self._file: CsvFile | None = None
        self._unreported: list[Row] = []

    def on_test_start(self, **_: Any) -> None:
        """Opens the file at the first run; later runs of this process add to it."""
        name = swarm_options(self._environment).records
        if self._file is None and name:
            self._file = CsvFile(self._path(name), COLUMNS)

    def on_request(
        self,
        request_type: str,
        response_time: float,
        response: requests.Response,
        exception: Exception | None,
        start_time: float,
        **_: Any,
    ) -> None:
        """Adds the row of a request that ended."""
        runner = self._environment.runner
        if runner is None:
            return
        status, *texts = request_outcome(exception, response)
        times = (f"{start_time:.6f}", f"{response_time / 1000:.6f}")
        self._add((*times, request_type, status, *map(csv_cell, texts), runner.user_count))

    def on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        """Adds the rows to a worker's report if the master's page offers them."""
        if self._unreported:
            data[REPORT_KEY], self._unreported = self._unreported, []

    def _add(self, row: Row) -> None:
        if self._file is not None:
            self._file.add(row)
        if self._collector is not None:
            self._collector.add(row)
        elif isinstance(self._environment.runner, WorkerRunner) and swarm_options(self._environment).collect_records:
            self._unreported.append(row)

    def _path(self, name: str) -> Path:
        path, runner = Path(name), self._environment.runner
        if isinstance(runner, WorkerRunner):
            return path.with_suffix(f".{runner.worker_index}{path.suffix}")
        return path
