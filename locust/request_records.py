"""The records of the requests, one CSV row each: in the files of --records, and for the web page's download."""

import atexit
import csv
import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import gevent
import requests
from locust.env import Environment
from locust.runners import WorkerRunner

from swarm import csv_cell, request_outcome, swarm_options

COLUMNS = ("sent_at_s", "latency_s", "method", "status", "reason", "predictor", "users")
REPORT_KEY = "request_records"
CHUNK_BYTES = 64 * 1024

logger = logging.getLogger("locust.swarm")


class CsvFile:
    """One file, written while the swarm runs: whole lines, about once a second, and the rest at the end.

    A disk that refuses ends the records, not the run.
    """

    def __init__(self, path: Path | None, columns: Sequence[str]) -> None:
        """Opens the file and writes the columns' names; where that fails, logs a warning and drops all rows.

        Without a path it is a temporary file without a name, removed with the process however that ends.
        """
        self._file: TextIO | None = None
        self._name = path or "temporary file"
        self._closed = False
        self._buffer = io.StringIO()
        try:
            opened: Any = path.open if path else tempfile.TemporaryFile
            self._file = opened("w", encoding="utf-8", newline="")
        except OSError as error:
            logger.warning(f"No records: {self._name}: {error.strerror}")
            self._closed = True
            return
        self._buffer.write(",".join(columns) + "\n")
        atexit.register(self.flush)  # after every way to end, SIGTERM too: the users have ended by then
        gevent.spawn(self._flush_regularly)

    def add(self, row: Sequence[object]) -> None:
        """Adds a row."""
        if not self._closed:
            csv.writer(self._buffer, lineterminator="\n").writerow(row)

    def flush(self) -> None:
        """Writes the buffered rows."""
        if self._closed or self._file is None:
            return
        text, self._buffer = self._buffer.getvalue(), io.StringIO()
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            logger.warning(f"The records end here: {self._name}: {error.strerror}")
            self._closed = True

    def content(self) -> Iterator[bytes]:
        """Yields all rows until now in chunks; what is added meanwhile is left out. For a temporary file."""
        self.flush()
        if self._file is None:
            return
        descriptor = self._file.fileno()
        end = os.fstat(descriptor).st_size
        for start in range(0, end, CHUNK_BYTES):
            yield os.pread(descriptor, min(CHUNK_BYTES, end - start), start)

    def _flush_regularly(self) -> None:
        while not self._closed:
            self.flush()
            gevent.sleep(1.0)


class RecordCollector(CsvFile):
    """In the process that leads the run, under the web UI: the rows of all processes, in a temporary file."""

    def __init__(self) -> None:
        super().__init__(None, COLUMNS)

    def on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        """Adds the rows in a worker's report, which comes about every 3 s and at its stop."""
        for row in data.pop(REPORT_KEY, ()):
            self.add(row)


class RequestRecorder:
    """In each process with users: one row per request that finished in it."""

    def __init__(self, environment: Environment, collector: RecordCollector | None) -> None:
        self._environment = environment
        self._collector = collector
        self._file: CsvFile | None = None
        self._unreported: list[Sequence[object]] = []

    def on_test_start(self, **_: Any) -> None:
        """Opens the file at the first run; later runs of this process add to it."""
        name, runner = swarm_options(self._environment).records, self._environment.runner
        if self._file is None and name:
            path = Path(name)
            if isinstance(runner, WorkerRunner):
                path = path.with_suffix(f".{runner.worker_index}{path.suffix}")
            self._file = CsvFile(path, COLUMNS)

    def on_request(self, response: requests.Response, exception: Exception | None, **event: Any) -> None:
        """Adds the row of a request that ended."""
        runner = self._environment.runner
        if runner is None:
            return
        status, *texts = request_outcome(exception, response)
        times = (f"{event['start_time']:.6f}", f"{event['response_time'] / 1000:.6f}")
        row = (*times, event["request_type"], status, *map(csv_cell, texts), runner.user_count)
        if self._file is not None:
            self._file.add(row)
        if self._collector is not None:
            self._collector.add(row)
        elif isinstance(runner, WorkerRunner) and swarm_options(self._environment).collect_records:
            self._unreported.append(row)

    def on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        """Adds the rows to a worker's report if the master's page offers them."""
        if self._unreported:
            data[REPORT_KEY], self._unreported = self._unreported, []
