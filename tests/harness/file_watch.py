"""A reader of the live topology file, which sees whatever stands there at any moment."""

import json
import time
from pathlib import Path

from tests.harness.waiting import Background


class FileWatch(Background):
    """Reads the file so many times a second while the block runs; keeps the loads, what was not valid, the writes."""

    def __init__(self, path: Path, reads_per_s: float) -> None:
        super().__init__()
        self.reads = 0
        self.bad: list[str] = []
        self.loads: set[int] = set()
        self.written_at_s: list[float] = []
        self._path, self._period_s = path, 1 / reads_per_s
        self._predictors = len(json.loads(path.read_bytes()))

    def _work(self) -> None:
        due_s = time.monotonic()
        seen: tuple[int, int] | None = None
        while not self._ended.wait(max(0.0, due_s - time.monotonic())):
            due_s += self._period_s
            self.reads += 1
            self._read()
            status = self._path.stat()
            if seen != (status.st_ino, status.st_mtime_ns):
                seen = status.st_ino, status.st_mtime_ns
                self.written_at_s.append(status.st_mtime)

    def _read(self) -> None:
        text = self._path.read_text()
        try:
            loads = [entry["load"] for entry in json.loads(text).values()]
            assert len(loads) == self._predictors
            self.loads.update(loads)
        except (ValueError, KeyError, AttributeError, AssertionError):
            self.bad.append(text)
