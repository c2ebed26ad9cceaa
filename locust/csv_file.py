"""A CSV file that a swarm writes while it runs: whole lines, about once a second, and the rest at the end."""

import atexit
import csv
import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import gevent

CHUNK_BYTES = 64 * 1024
logger = logging.getLogger("locust.swarm")


class CsvFile:
    """Buffers rows for one file; a disk that refuses ends the records, not the run."""

    def __init__(self, path: Path | None, columns: Sequence[str]) -> None:
        """Opens the file and writes the columns' names; where that fails, logs a warning and drops all rows.

        Without a path it is a temporary file without a name, removed with the process however that ends.
        """
        self._file: TextIO | None = None
        self._name = path or "temporary file"
        self._closed = False
        self._buffer = io.StringIO()
        try:
            self._file = self._open(path)
        except OSError as error:
            logger.warning(f"No records: {self._name}: {error.strerror}")
            self._closed = True
            return
        self._buffer.write(",".join(columns) + "\n")
        atexit.register(self.flush)  # after every way to end, SIGTERM too: the users have ended by then
        gevent.spawn(self._flush_regularly)

    @staticmethod
    def _open(path: Path | None) -> TextIO:
        if path is None:
            return tempfile.TemporaryFile("w", encoding="utf-8", newline="")
        return path.open("w", encoding="utf-8", newline="")

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
