"""A CSV file that a swarm writes while it runs: whole lines, about once a second, and the rest at the end."""

from __future__ import annotations

import atexit
import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import gevent

logger = logging.getLogger("locust.swarm")


class RowFile:
    """Rows for one file; a disk that refuses ends the records, not the run."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Open the file and put the columns' names into it; without a place to write, warn and drop all rows."""
        self._file: TextIO | None = None
        self._pending = io.StringIO()
        try:
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            logger.warning(f"No records: {path}: {error.strerror}")
            return
        self._pending.write(",".join(columns) + "\n")
        atexit.register(self.flush)  # after every way to end, SIGTERM too: the users are gone by then
        gevent.spawn(self._flush_regularly)

    def add(self, row: Sequence[object]) -> None:
        """Add a row."""
        if self._file is not None:
            csv.writer(self._pending, lineterminator="\n").writerow(row)

    def flush(self) -> None:
        """Write what is pending."""
        if self._file is None:
            return
        text, self._pending = self._pending.getvalue(), io.StringIO()
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            logger.warning(f"The records end here: {self._file.name}: {error.strerror}")
            self._file = None

    def _flush_regularly(self) -> None:
        while self._file is not None:
            self.flush()
            gevent.sleep(1.0)
